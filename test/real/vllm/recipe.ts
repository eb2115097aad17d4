/** A bare vLLM on a CPU: dummy weights, no compilation. */
export interface VllmRecipe {
  readonly flags?: Readonly<Record<string, unknown>>;
  readonly benchmark?: Readonly<Record<string, unknown>>;
  readonly supervision?: Readonly<Record<string, unknown>>;
  readonly environment?: Readonly<Record<string, string>>;
  readonly more?: Readonly<Record<string, unknown>>;
}

/** Enough requests that a fault hits some of them. */
export const LONG = { concurrencies: '4', num_prompts_mult: 2_000 };

export const recipeOf = (model: string, given: VllmRecipe = {}): object => ({
  name: 'real-vllm',
  model: { path: model, container: 'none', precision: 'bf16' },
  resources: { gpu_type: 'cpu', gpus_per_node: 1, agg_nodes: 1, agg_workers: 1 },
  frontend: { type: 'vllm', enable_multiple_frontends: false },
  backend: {
    type: 'vllm',
    connector: null,
    set_cuda_visible_devices: true,
    vllm_config: {
      aggregated: {
        ...{ 'served-model-name': 'tiny', 'load-format': 'dummy', 'max-model-len': 1_024 },
        ...{ 'enforce-eager': true, 'max-num-seqs': 16 },
        ...given.flags,
      },
    },
  },
  environment: {
    ...{ HF_HUB_OFFLINE: '1', VLLM_NO_USAGE_STATS: '1', VLLM_CPU_KVCACHE_SPACE: '1' },
    ...given.environment,
  },
  health_check: { interval_seconds: 5, max_attempts: 96 },
  supervision: { hung_after: 120, ...given.supervision },
  benchmark: {
    ...{ type: 'sa-bench', isl: 64, osl: 16, random_range_ratio: 1, use_chat_template: false },
    ...{ concurrencies: '1x4', num_prompts_mult: 4, num_warmup_mult: 1 },
    ...given.benchmark,
  },
  ...given.more,
});
