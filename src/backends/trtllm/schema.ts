import * as z from 'zod';
import { countSchema, environmentsShape } from '../../recipe/values/values.ts';

/** TensorRT-LLM's own options, which are copied unchanged into its config file. */
const engineOptionsSchema = z.record(z.string(), z.unknown());

const argumentsSchema = z.array(z.union([z.string(), z.number()]).transform(String)).default([]);

/** `backend` of a recipe with `type: trtllm`. */
export const trtllmBackendSchema = z.strictObject({
  type: z.literal('trtllm'),
  ...environmentsShape,
  prefill_extra_args: argumentsSchema.describe('further options of trtllm-serve for prefill workers'),
  decode_extra_args: argumentsSchema.describe('further options of trtllm-serve for decode workers'),
  aggregated_extra_args: argumentsSchema.describe('further options of trtllm-serve for aggregated workers'),
  served_model_name: z
    .string()
    .min(1)
    .nullish()
    .describe("what clients call the model; by default the last part of the model's path"),
  sequential_node_start: countSchema
    .default(0)
    .describe('workers of a node that may load at once; 0: all of them'),
  publish_metrics: z
    .boolean()
    .nullish()
    .describe(
      'whether workers under Dynamo publish metrics alone, for releases of Dynamo with --publish-metrics',
    ),
  publish_events_and_metrics: z
    .boolean()
    .nullish()
    .describe(
      'whether workers under Dynamo publish KV cache events, for routers that are aware of the cache',
    ),
  numa_memory_bind: z
    .union([z.boolean(), z.literal('local')])
    .nullish()
    .describe(
      "keep prefill and decode workers to the CPUs' memory; by default on gb200 and gb300. local: to the memory beside each GPU, with numa_cpu_bind",
    ),
  numa_cpu_bind: z.boolean().default(false).describe('keep each worker to the CPUs beside its GPU'),
  trtllm_config: z
    .strictObject({
      prefill: engineOptionsSchema.nullish().describe('of prefill workers'),
      decode: engineOptionsSchema.nullish().describe('of decode workers'),
      aggregated: engineOptionsSchema.nullish().describe('of aggregated workers'),
    })
    .nullish()
    .describe('options of TensorRT-LLM by mode, as they stand in its config file'),
});
export type TrtllmConfig = z.infer<typeof trtllmBackendSchema>;
