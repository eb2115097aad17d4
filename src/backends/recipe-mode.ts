import type { EndpointMode } from '../plan/kinds.ts';

/** A mode as recipes call it in the sections that they have for each. */
export const recipeMode = (mode: EndpointMode) => (mode === 'agg' ? 'aggregated' : mode);
