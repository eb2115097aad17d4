import * as z from 'zod';
import { envSchema } from './values.ts';

/** Options of TensorRT-LLM itself: what they hold goes into its config file as it stands. */
const engineOptionsSchema = z.record(z.string(), z.unknown());

/** `backend` of a recipe with `type: trtllm`. */
export const trtllmBackendSchema = z.strictObject({
  type: z.literal('trtllm'),
  prefill_environment: envSchema.describe('environment of prefill workers'),
  decode_environment: envSchema.describe('environment of decode workers'),
  aggregated_environment: envSchema.describe('environment of aggregated workers'),
  trtllm_config: z
    .strictObject({
      prefill: engineOptionsSchema.nullish(),
      decode: engineOptionsSchema.nullish(),
      aggregated: engineOptionsSchema.nullish(),
    })
    .nullish()
    .describe('options of TensorRT-LLM by mode, as they stand in its config file'),
});
