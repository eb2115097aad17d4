import { backendSchema } from '../backends/index.ts';
import { benchmarkSchema } from '../benchmarks/index.ts';
import { frontendSchema } from '../frontends/index.ts';
import { recipeSchemaOf } from './schema/schema.ts';

/** A recipe with every engine, router and benchmark that there is. `backend` is a union that its `type` tells apart. */
export const recipeSchema = recipeSchemaOf({
  frontend: frontendSchema,
  backend: backendSchema,
  benchmark: benchmarkSchema,
});
