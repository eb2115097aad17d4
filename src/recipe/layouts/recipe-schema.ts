import { backendSchema, engineSchema } from '../../backends/index.ts';
import { benchmarkSchema } from '../../benchmarks/index.ts';
import { frontendSchema } from '../../frontends/index.ts';
import { serviceKinds } from '../../services/index.ts';
import { recipeSchemaOf } from '../schema/schema.ts';
import { problemsAround } from '../schema/service-checks.ts';

/**
 * A recipe for every known engine, router and benchmark. `backend` is a union that its `type` distinguishes.
 */
export const recipeSchema = recipeSchemaOf({
  frontend: frontendSchema,
  backend: backendSchema,
  engine: engineSchema,
  benchmark: benchmarkSchema,
  services: serviceKinds,
}).superRefine((recipe, context) => {
  for (const issue of problemsAround(recipe, serviceKinds)) context.addIssue({ code: 'custom', ...issue });
});
