import * as z from 'zod';
import { countSchema, directivesSchema } from '../values/values.ts';

const seconds = (fallback: number, what: string) =>
  z.number().min(0).max(86_400).default(fallback).describe(`seconds: ${what}`);

const policySchema = z.enum(['never', 'on-failure', 'always']);

/** What follows when a worker ends while it is wanted. */
const restartSchema = z.union([
  policySchema,
  z.strictObject({
    policy: policySchema
      .default('never')
      .describe(
        'on-failure: not after exit code 0; always: after any end; never: as supervision.critical says',
      ),
    max_restarts: countSchema
      .max(10_000)
      .default(3)
      .describe('how often one worker may start again in the whole job'),
    backoff_seconds: seconds(10, 'before the first restart; twice as long before each further one'),
    max_backoff_seconds: seconds(300, 'the longest time before a restart'),
  }),
]);
type RestartSettings = z.infer<typeof restartSchema>;

/** `roles`: what belongs to the workers of one role alone. `engine`: the schema of a `backend` section. */
export const rolesSchemaOf = <Engine extends z.ZodType>(engine: Engine) => {
  const role = (workers: string) =>
    z
      .strictObject({
        engine: engine
          .nullish()
          .describe(
            `engine of the ${workers} workers, where it is not that of backend; its keys are the same`,
          ),
        container: z
          .string()
          .min(1)
          .nullish()
          .describe(`image of the ${workers} workers, or alias from containers; by default model.container`),
        mooncake_store_config: z
          .record(z.string(), z.unknown())
          .nullish()
          .describe(`trtllm: settings of Mooncake's store for the ${workers} workers`),
        srun_options: directivesSchema
          .nullish()
          .describe(`options of srun for the ${workers} workers, beside those of the whole recipe`),
        restart: restartSchema
          .nullish()
          .describe(
            `whether one of the ${workers} workers that ends starts again, in the same place; by default never`,
          ),
      })
      .nullish()
      .describe(`of ${workers} workers`);
  return z
    .strictObject({ prefill: role('prefill'), decode: role('decode'), agg: role('aggregated') })
    .nullish();
};

/** `restart` as a whole map; null: a worker that ends does not start again. */
export function restartOf(settings: RestartSettings | null | undefined) {
  const whole = restartSchema.parse(
    typeof settings === 'string' ? { policy: settings } : (settings ?? 'never'),
  );
  return typeof whole === 'string' || whole.policy === 'never' ? null : { ...whole, policy: whole.policy };
}
