/** A real SGLang on a CPU: dummy weights, and stubbed kernels so that torch computes (stub/). */
export const ON_CPU = {
  SGLANG_USE_CPU_ENGINE: '1',
  HF_HUB_OFFLINE: '1',
  CUDA_VISIBLE_DEVICES: '',
  // Two threads each, because tests share the machine.
  OMP_NUM_THREADS: '2',
} as const;

export const FLAGS = {
  'served-model-name': 'tiny',
  device: 'cpu',
  'load-format': 'dummy',
  'attention-backend': 'torch_native',
  'disable-cuda-graph': true,
  'mem-fraction-static': 0.2,
  'max-total-tokens': 65_536,
  'max-running-requests': 64,
} as const;

export interface RealRecipe {
  readonly flags?: Readonly<Record<string, unknown>>;
  readonly benchmark?: Readonly<Record<string, unknown>>;
  readonly supervision?: Readonly<Record<string, unknown>>;
  readonly more?: Readonly<Record<string, unknown>>;
}

/** One engine behind the real router, on one node. */
export const recipeOf = (model: string, { flags, benchmark, supervision, more }: RealRecipe = {}) => ({
  name: 'real-sglang',
  model: { path: model, container: 'none', precision: 'bf16' },
  resources: { gpu_type: 'cpu', gpus_per_node: 1, agg_nodes: 1, agg_workers: 1 },
  frontend: { type: 'sglang', enable_multiple_frontends: false, args: { policy: 'round_robin' } },
  backend: { type: 'sglang', sglang_config: { aggregated: { ...FLAGS, 'enable-metrics': true, ...flags } } },
  environment: ON_CPU,
  health_check: { interval_seconds: 5, max_attempts: 180 },
  benchmark: {
    ...{ type: 'sa-bench', isl: 64, osl: 16, random_range_ratio: 1, concurrencies: '4' },
    ...{ num_prompts_mult: 4, num_warmup_mult: 1, use_chat_template: true },
    ...benchmark,
  },
  ...(supervision ? { supervision } : {}),
  ...more,
});

/** A benchmark that runs until the test ends it. */
export const LONG = { concurrencies: '4', num_prompts_mult: 5_000, osl: 64 } as const;
