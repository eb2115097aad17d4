import { expect } from 'vitest';
import type { PointResult } from '../../../src/messages/job-directory/result.ts';

type Section = Record<string, unknown>;

/** Aggregated workers on one node, and prefill and decode workers on one node. */
export const AGGREGATED: Section = {
  ...{ gpu_type: 'h100', gpus_per_node: 4 },
  ...{ agg_nodes: 1, agg_workers: 2, gpus_per_agg: 2 },
};
export const DISAGGREGATED: Section = {
  ...{ gpu_type: 'h100', gpus_per_node: 8 },
  ...{ prefill_nodes: 1, prefill_workers: 2, gpus_per_prefill: 2 },
  ...{ decode_nodes: 0, decode_workers: 2, gpus_per_decode: 2 },
};

const [ISL, OSL, REQUESTS] = [128, 32, 24];

/** A recipe for Dynamo and its mocker without workarounds. */
export function dynamoRecipe(model: string, change: Record<string, Section> = {}): Record<string, unknown> {
  const { frontend = {}, backend = {}, benchmark = {}, resources = AGGREGATED, dynamo, ...rest } = change;
  return {
    name: 'dynamo',
    model: { path: model, container: 'none', precision: 'bf16' },
    resources,
    frontend: { type: 'dynamo', enable_multiple_frontends: false, ...frontend },
    dynamo: { install: false, ...dynamo },
    backend: { type: 'mocker', ...('type' in backend ? {} : { speedup_ratio: 10 }), ...backend },
    health_check: { max_attempts: 24, interval_seconds: 5 },
    benchmark: {
      type: 'sa-bench',
      ...{ isl: ISL, osl: OSL, random_range_ratio: 1 },
      ...{ concurrencies: '4', num_prompts_mult: REQUESTS / 4, num_warmup_mult: 1 },
      ...benchmark,
    },
    ...rest,
  };
}

/** Expects a valid result, with every request and every token. */
export function expectExact(result: PointResult | undefined, prompts: 'tokens' | 'words' = 'tokens'): void {
  expect(result?.benchmark, JSON.stringify(result?.cause)).toMatchObject({
    valid: true,
    serving: [
      {
        ...{ completed: REQUESTS, failed: 0, outputTokens: REQUESTS * OSL },
        ...(prompts === 'tokens' ? { inputTokens: REQUESTS * ISL } : {}),
      },
    ],
  });
}
