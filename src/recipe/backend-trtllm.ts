import * as z from 'zod';
import { envSchema } from './values.ts';

/** Options of TensorRT-LLM itself: what they hold goes into its config file as it stands. */
const engineOptionsSchema = z.record(z.string(), z.unknown());

const argumentsSchema = z.array(z.union([z.string(), z.number()]).transform(String)).default([]);

/** `backend` of a recipe with `type: trtllm`. */
export const trtllmBackendSchema = z.strictObject({
  type: z.literal('trtllm'),
  prefill_environment: envSchema.describe('environment of prefill workers'),
  decode_environment: envSchema.describe('environment of decode workers'),
  aggregated_environment: envSchema.describe('environment of aggregated workers'),
  prefill_extra_args: argumentsSchema.describe('further options of trtllm-serve for prefill workers'),
  decode_extra_args: argumentsSchema.describe('further options of trtllm-serve for decode workers'),
  aggregated_extra_args: argumentsSchema.describe('further options of trtllm-serve for aggregated workers'),
  publish_events_and_metrics: z
    .boolean()
    .default(false)
    .describe(
      'whether workers under Dynamo publish KV cache events, for routers that are aware of the cache',
    ),
  numa_memory_bind: z
    .boolean()
    .nullish()
    .describe("keep prefill and decode workers to the CPUs' memory; by default on gb200 and gb300"),
  trtllm_config: z
    .strictObject({
      prefill: engineOptionsSchema.nullish(),
      decode: engineOptionsSchema.nullish(),
      aggregated: engineOptionsSchema.nullish(),
    })
    .nullish()
    .describe('options of TensorRT-LLM by mode, as they stand in its config file'),
});
