import { CausedError } from '../machines/point.ts';
import type { GpuHolder } from '../messages/gpu-holder.ts';
import type { Plan } from '../plan/kinds.ts';

/** GPUs of the plan that are held by processes which are not this job's: node by node, one line for a person. */
export function dirtyNodes(
  plan: Plan,
  holders: ReadonlyMap<string, readonly GpuHolder[]>,
): { node: string; says: string }[] {
  const used = new Map<string, Set<number>>();
  for (const { processes } of plan.points)
    for (const { node, gpus } of processes) {
      const ours = used.get(node) ?? new Set();
      for (const gpu of gpus) ours.add(gpu);
      used.set(node, ours);
    }
  return [...used].flatMap(([node, gpus]) => {
    const held = (holders.get(node) ?? []).filter(({ gpu }) => gpus.has(gpu));
    return held.length === 0 ? [] : [{ node, says: `${node}: ${describe(held)}` }];
  });
}

/** Refuses to start on GPUs that somebody holds, or says so and goes on (`supervision.on_dirty_node`). */
export function requireCleanNodes(
  plan: Plan,
  holders: ReadonlyMap<string, readonly GpuHolder[]>,
  warn: (node: string, says: string) => void,
): void {
  const dirty = dirtyNodes(plan, holders);
  const [first] = dirty;
  if (!first) return;
  const says = dirty.map((entry) => entry.says).join('; ');
  if (plan.points[0]?.recipe.supervision.on_dirty_node === 'warn') {
    for (const { node, says: own } of dirty) warn(node, own);
    return;
  }
  throw new CausedError({
    summary: `GPUs are held by processes that are not this job's: ${says}`,
    node: first.node,
    advice: `end them, keep the job off the node (sbatch_directives: exclude: ${first.node}), or set supervision.on_dirty_node: warn`,
  });
}

/** `GPU 0, 1 by python3 (pid 4242 of bob, 70.2 GB)`; a process on several GPUs is one. */
function describe(held: readonly GpuHolder[]): string {
  const processes = new Map<number, GpuHolder[]>();
  for (const holder of held) processes.set(holder.pid, [...(processes.get(holder.pid) ?? []), holder]);
  return [...processes.values()]
    .map((own) => {
      const [{ pid, program, user } = { pid: 0, program: '?', user: '?' }] = own;
      const gpus = [...new Set(own.map(({ gpu }) => gpu))].sort((a, b) => a - b).join(', ');
      const mib = own.reduce((sum, { memoryMiB }) => sum + (memoryMiB ?? 0), 0);
      return `GPU ${gpus} by ${program} (pid ${pid} of ${user}${mib > 0 ? `, ${(mib / 1024).toFixed(1)} GB` : ''})`;
    })
    .join(', ');
}
