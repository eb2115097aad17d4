import * as z from 'zod';
import { flagsSchema } from '../../recipe/values/flags.ts';
import { environmentsShape, positiveSchema } from '../../recipe/values/values.ts';

/** `backend` of a recipe with `type: mocker`: Dynamo's simulated engine. */
export const mockerBackendSchema = z.strictObject({
  type: z.literal('mocker'),
  ...environmentsShape,
  engine_type: z.string().min(1).default('vllm').describe('engine that is simulated'),
  speedup_ratio: z.number().positive().default(100).describe('how many times faster than the real engine'),
  decode_speedup_ratio: z.number().positive().default(1).describe('the same, for decoding alone'),
  num_gpu_blocks_override: positiveSchema.default(16384).describe('blocks of the KV cache'),
  max_num_seqs: positiveSchema.default(256).describe('requests that run at once'),
  max_num_batched_tokens: positiveSchema.default(8192).describe('tokens of a batch'),
  block_size: positiveSchema.nullish().describe('tokens of a block'),
  data_parallel_size: positiveSchema.default(1).describe('data-parallel ranks of a worker'),
  num_workers: positiveSchema.default(1).describe('workers in one process'),
  startup_time: z.number().min(0).nullish().describe('seconds to load'),
  kv_transfer_bandwidth: z.number().positive().nullish().describe('GB/s between prefill and decode'),
  kv_cache_dtype: z.string().nullish().describe('type of the KV cache'),
  enable_prefix_caching: z.boolean().default(true).describe('reuse the KV cache of equal beginnings'),
  enable_chunked_prefill: z.boolean().default(true).describe('split long prefills'),
  preemption_mode: z.string().nullish().describe('what happens to requests that do not fit'),
  mocker_config: z
    .strictObject({
      prefill: flagsSchema.nullish().describe('of prefill workers'),
      decode: flagsSchema.nullish().describe('of decode workers'),
      aggregated: flagsSchema.nullish().describe('of aggregated workers'),
    })
    .nullish()
    .describe('further options by mode, without the leading dashes'),
});
export type MockerConfig = z.infer<typeof mockerBackendSchema>;
