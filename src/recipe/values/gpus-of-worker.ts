type Mode = 'prefill' | 'decode' | 'agg';
type Key = `${Mode}_nodes` | `${Mode}_workers` | `gpus_per_${Mode}`;

/** The keys of `resources` that say how many GPUs a worker has. */
export type GpuShares = { readonly gpus_per_node: number } & {
  readonly [key in Key]?: number | null | undefined;
};

/**
 * GPUs of one worker: the recipe's value, or its share of the mode's nodes; without nodes, the number of a
 * prefill worker.
 */
export function gpusOfWorker(mode: Mode, resources: GpuShares): number {
  const given = resources[`gpus_per_${mode}`];
  if (given != null) return given;
  const workers = resources[`${mode}_workers`] ?? 0;
  const nodes = resources[`${mode}_nodes`] ?? null;
  const perNode = resources.gpus_per_node;
  if (nodes !== null && nodes > 0 && workers > 0) return Math.floor((nodes * perNode) / workers);
  return mode === 'decode' && nodes === 0 && (resources.prefill_workers ?? 0) > 0
    ? gpusOfWorker('prefill', resources)
    : perNode;
}
