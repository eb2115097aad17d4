import * as z from 'zod';
import { flagsSchema } from '../../recipe/values/flags.ts';
import { environmentsShape, kvEventsSchema, mooncakeShape } from '../../recipe/values/values.ts';

/** `backend` of a recipe with `type: sglang`, the default type. */
export const sglangBackendSchema = z.strictObject({
  type: z.literal('sglang').optional().default('sglang'),
  ...environmentsShape,
  sglang_config: z
    .strictObject({
      prefill: flagsSchema.nullish().describe('of prefill workers'),
      decode: flagsSchema.nullish().describe('of decode workers'),
      aggregated: flagsSchema.nullish().describe('of aggregated workers'),
    })
    .nullish()
    .transform((config) => config ?? {})
    .describe('options of the SGLang server by mode, without the leading dashes'),
  kv_events_config: kvEventsSchema,
  mooncake_kv_store: z
    .strictObject(mooncakeShape)
    .nullish()
    .describe('run a Mooncake master on the infra node and tell the workers where it is'),
});
export type SglangConfig = z.infer<typeof sglangBackendSchema>;
