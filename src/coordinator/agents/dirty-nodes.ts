import { CausedError } from '../../machines/point.ts';
import type { GpuHolder } from '../../messages/spec/gpu-holder.ts';
import type { SweepPlan } from '../../model/kinds.ts';
import { inSlices } from '../../os/in-slices.ts';
import { eachPoint } from '../../plan/plan.ts';

/** Its points are planned one by one, because a sweep may have thousands of points. */
type DirtyPlan = Pick<SweepPlan, 'groups' | 'point'>;

/** GPUs of the plan that processes of other jobs hold; one line for each node. */
export async function dirtyNodes(
  plan: DirtyPlan,
  holders: ReadonlyMap<string, readonly GpuHolder[]>,
): Promise<{ node: string; says: string }[]> {
  // When no GPU is held, no point has to be planned.
  if ([...holders.values()].every(({ length }) => length === 0)) return [];
  const used = new Map<string, Set<number>>();
  await inSlices(marking(plan, used));
  return [...used].flatMap(([node, gpus]) => {
    const held = (holders.get(node) ?? []).filter(({ gpu }) => gpus.has(gpu));
    return held.length === 0 ? [] : [{ node, says: `${node}: ${describe(held)}` }];
  });
}

/** The GPUs of each node that a point uses. */
function* marking(plan: DirtyPlan, used: Map<string, Set<number>>): Generator<undefined, void> {
  for (const { processes } of eachPoint(plan)) {
    for (const { node, gpus } of processes) {
      const ours = used.get(node) ?? new Set();
      for (const gpu of gpus) ours.add(gpu);
      used.set(node, ours);
    }
    yield;
  }
}

/** Refuses to start on GPUs that another process holds, or warns and goes on (`supervision.on_dirty_node`). */
export async function requireCleanNodes(
  plan: DirtyPlan,
  holders: ReadonlyMap<string, readonly GpuHolder[]>,
  warn: (node: string, says: string) => void,
): Promise<void> {
  const dirty = await dirtyNodes(plan, holders);
  const [first] = dirty;
  if (!first) return;
  const says = dirty.map((entry) => entry.says).join('; ');
  if (plan.point(plan.groups[0]?.[0] ?? -1)?.recipe.supervision.on_dirty_node === 'warn') {
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
