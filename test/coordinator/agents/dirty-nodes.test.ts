import { expect, it } from 'vitest';
import { dirtyNodes, requireCleanNodes } from '../../../src/coordinator/agents/dirty-nodes.ts';
import type { GpuHolder } from '../../../src/messages/spec/gpu-holder.ts';
import { pointOf } from '../../support/plan.ts';

const recipe = (policy: string) => `name: x
model: { path: m, container: c, precision: fp8 }
resources: { gpu_type: h100, gpus_per_node: 8, agg_nodes: 1, agg_workers: 1, gpus_per_agg: 4 }
supervision: { on_dirty_node: ${policy} }
`;
const planOf = (policy: string) => {
  const point = pointOf(recipe(policy));
  return { groups: [[0]], point: () => point };
};
const holder = (gpu: number, pid = 42): GpuHolder => ({
  ...{ gpu, pid, program: 'python3', user: 'bob', memoryMiB: 35_840 },
});

it('names the processes that hold GPUs of the plan, each once, and ignores other GPUs and nodes', async () => {
  const holders = new Map([
    ['node1', [holder(0), holder(2), holder(7, 43)]],
    ['node9', [holder(0)]],
  ]);
  expect(await dirtyNodes(planOf('fail'), holders)).toEqual([
    { node: 'node1', says: 'node1: GPU 0, 2 by python3 (pid 42 of bob, 70.0 GB)' },
  ]);
});

it('makes the run refuse to start on dirty nodes, or warn, as the recipe says', async () => {
  const holders = new Map([['node1', [holder(0)]]]);
  const warnings: string[] = [];
  const warn = (_: string, says: string) => warnings.push(says);
  await expect(requireCleanNodes(planOf('fail'), holders, warn)).rejects.toThrow(/pid 42 of bob/);
  expect(warnings).toEqual([]);
  await requireCleanNodes(planOf('warn'), holders, warn);
  expect(warnings).toEqual(['node1: GPU 0 by python3 (pid 42 of bob, 35.0 GB)']);
  await requireCleanNodes(planOf('fail'), new Map([['node1', [holder(7)]]]), warn);
});
