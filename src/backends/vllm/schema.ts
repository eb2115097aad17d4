import * as z from 'zod';
import { failoverSchema } from '../../recipe/values/failover.ts';
import { flagsSchema } from '../../recipe/values/flags.ts';
import { environmentsShape, kvEventsSchema, mooncakeShape } from '../../recipe/values/values.ts';

/** `backend` of a recipe with `type: vllm`. */
export const vllmBackendSchema = z.strictObject({
  type: z.literal('vllm'),
  ...environmentsShape,
  vllm_config: z
    .strictObject({
      prefill: flagsSchema.nullish().describe('of prefill workers'),
      decode: flagsSchema.nullish().describe('of decode workers'),
      aggregated: flagsSchema.nullish().describe('of aggregated workers'),
    })
    .nullish()
    .describe('options of vLLM by mode, without the leading dashes'),
  connector: z
    .string()
    .nullish()
    .default('nixl')
    .describe(
      'how the KV cache moves between workers: nixl, lmcache, lmcache-mp, kvbm, moriio, the JSON of --kv-transfer-config, or null for none; vllm_config may name another for a mode',
    ),
  dp_launch_mode: z
    .enum(['per_node', 'per_gpu'])
    .default('per_node')
    .describe('data parallelism: one process for all ranks of a node, or one for each rank'),
  set_cuda_visible_devices: z
    .boolean()
    .default(false)
    .describe('choose GPUs by CUDA_VISIBLE_DEVICES, for versions of vLLM without --device-ids'),
  allow_prefill_decode_colocation: z
    .boolean()
    .default(false)
    .describe('prefill and decode workers on one node, if they all fit there'),
  allow_prefill_decode_colocation_across_nodes: z
    .boolean()
    .default(false)
    .describe('with the former: on as few nodes as they fit on'),
  failover: failoverSchema,
  vllm_serve_binary: z.string().min(1).default('vllm').describe('program of a vllm frontend'),
  kv_events_config: kvEventsSchema,
  mooncake_kv_store: z
    .strictObject({
      ...mooncakeShape,
      store_config: z
        .record(z.string(), z.unknown())
        .nullish()
        .describe("what vLLM's Mooncake connector reads from its file, except the master's address"),
    })
    .nullish()
    .describe('run a Mooncake master on the infra node and tell the workers where it is'),
});
export type VllmConfig = z.infer<typeof vllmBackendSchema>;
