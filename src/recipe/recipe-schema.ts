import { backendSchema } from '../backends/index.ts';
import { benchmarkSchema } from '../benchmarks/index.ts';
import { frontendSchema } from '../frontends/index.ts';
import { recipeSchemaOf } from './schema/schema.ts';

/**
 * A recipe for every known engine, router and benchmark. `backend` is a union that its `type` distinguishes.
 */
export const recipeSchema = recipeSchemaOf({
  frontend: frontendSchema,
  backend: backendSchema,
  benchmark: benchmarkSchema,
});
