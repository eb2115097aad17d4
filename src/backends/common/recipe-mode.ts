import type { EndpointMode } from '../../model/kinds.ts';

/** A mode as recipes call it in the sections that they have for each. */
export const recipeMode = (mode: EndpointMode) => (mode === 'agg' ? 'aggregated' : mode);
