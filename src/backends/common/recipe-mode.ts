import type { EndpointMode } from '../../model/kinds.ts';

/** The name of a mode in the sections that recipes have for each mode. */
export const recipeMode = (mode: EndpointMode) => (mode === 'agg' ? 'aggregated' : mode);
