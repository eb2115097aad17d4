/** Keys that only the first layout has, by section. */
export const FIRST_KEYS = {
  backend: /./,
  infra: /./,
  resources: /^((prefill|decode|agg)_(nodes|workers|nodes_per_worker)|gpus_per_(prefill|decode|agg))$/,
  dynamo: /^(version|hash|wheel|cargo_patches|git)$/,
  frontend: /^(orchestrator_placement|dedicated_node)$/,
  benchmark: /^(client_placement|client_dedicated_node)$/,
} as const;
