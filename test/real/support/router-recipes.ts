import { expect } from 'vitest';
import type { RealJob } from './real-jobs.ts';

/** The routers of the environment `routers`, by `frontend.type`. */
export const routerTypes = ['sglang', 'smg', 'vllm-router'] as const;
export type RouterType = (typeof routerTypes)[number];

/** Matches their titles and command lines. */
export const ROUTER_TITLE = /(sglang|smg|vllm)(_router)?([:.]|-)+(:?router|launch_router)/;

const NAME = 'Qwen/Qwen3-32B';

/** Engines of these recipes are srtctl's simulator, behind any router. */
export const ENGINES = { 'sglang.launch_server': 'simulator' } as const;

export interface RouterRecipe {
  readonly type: RouterType;
  readonly model: string;
  readonly args?: object;
  readonly options?: object;
  readonly benchmark?: object;
  readonly rest?: object;
}

const common = { precision: 'fp8', container: 'none' } as const;
const measured = { type: 'sa-bench', isl: 64, osl: 16, req_rate: 'inf', concurrencies: '2x4' } as const;
/** Exact lengths, so that tokens can be counted. */
const exact = { random_range_ratio: 1 } as const;
const few = { num_prompts_mult: 3, num_warmup_mult: 1 } as const;

function recipe(
  { type, model, args, options, benchmark, rest }: RouterRecipe,
  modes: readonly string[],
  resources: object,
): object {
  const flags = { 'served-model-name': NAME, 'context-length': 8192, ...options };
  return {
    name: `${type}-${modes.join('-')}`,
    model: { path: model, ...common },
    resources: { gpu_type: 'h100', gpus_per_node: 8, ...resources },
    frontend: { type, enable_multiple_frontends: false, args: { policy: 'round_robin', ...args } },
    backend: { type: 'sglang', sglang_config: Object.fromEntries(modes.map((mode) => [mode, flags])) },
    benchmark: { ...measured, ...exact, ...few, ...benchmark },
    ...rest,
  };
}

/** Two aggregated workers on one node. */
export const aggregated = (own: RouterRecipe): object =>
  recipe(own, ['aggregated'], { agg_nodes: 1, agg_workers: 2, gpus_per_agg: 4 });

/** A prefill and two decode workers on one node. */
export const disaggregated = (own: RouterRecipe): object =>
  recipe(own, ['prefill', 'decode'], {
    ...{ prefill_nodes: 1, prefill_workers: 1, gpus_per_prefill: 4 },
    ...{ decode_nodes: 0, decode_workers: 2, gpus_per_decode: 2 },
  });

/** Two prefill and two decode workers on four nodes, with nginx in front of three routers. */
export const severalRouters = (own: RouterRecipe): object => {
  const one = recipe(own, ['prefill', 'decode'], {
    ...{ gpus_per_node: 4, prefill_nodes: 2, prefill_workers: 2, gpus_per_prefill: 4 },
    ...{ decode_nodes: 2, decode_workers: 2, gpus_per_decode: 4 },
  }) as { frontend: object };
  return { ...one, frontend: { ...one.frontend, enable_multiple_frontends: true } };
};

/** Prefill and decode workers of vLLM; vLLM's router sends a request to one after the other. */
export const vllmDisaggregated = (model: string): object => ({
  name: 'vllm-router-vllm',
  model: { path: model, ...common },
  resources: {
    ...{ gpu_type: 'h100', gpus_per_node: 8, prefill_nodes: 1, prefill_workers: 1, gpus_per_prefill: 4 },
    ...{ decode_nodes: 0, decode_workers: 2, gpus_per_decode: 2 },
  },
  frontend: { type: 'vllm-router', enable_multiple_frontends: false, args: { policy: 'round_robin' } },
  backend: {
    type: 'vllm',
    connector: 'nixl',
    vllm_config: {
      prefill: { 'served-model-name': NAME, 'tensor-parallel-size': 4 },
      decode: { 'served-model-name': NAME, 'tensor-parallel-size': 2 },
    },
  },
  benchmark: { ...measured, ...exact, ...few },
});

/** Expects the figures of a good run: every request answered, every token counted, nothing left. */
export async function wentWell(job: RealJob, requests: readonly number[] = [6, 12]): Promise<void> {
  expect(await job.ended(), job.said).toBe(0);
  const [point] = await job.results();
  expect(point).toMatchObject({ status: 'done', benchmark: { valid: true } });
  const serving = (point?.benchmark?.serving ?? []).map(
    ({ completed, failed, inputTokens, outputTokens }) => ({ completed, failed, inputTokens, outputTokens }),
  );
  expect(serving).toEqual(
    requests.map((completed) => ({
      ...{ completed, failed: 0 },
      ...{ inputTokens: completed * measured.isl, outputTokens: completed * measured.osl },
    })),
  );
  await job.nothingLeft();
}
