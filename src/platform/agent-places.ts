import { eachPoint, planSweep, spareNodesOf } from '../plan/plan.ts';
import { createRuntimeContext, dryRunInput } from '../plan/runtime-context.ts';
import type { LoadedVariant } from '../recipe/load.ts';
import type { ClusterConfig } from '../recipe/schema/cluster.ts';
import type { AgentGroup, AgentPlace } from './launch/launcher.ts';

/** Agents outside of the engines' container, where srun exists. They start the ranks of MPI launches. */
export const MPI_GROUP = 'mpi';

/**
 * The agents of a job: one on each node in the engines' image, and for each further image (nginx, exporters) one on
 * each node that needs the image. The nodes do not depend on addresses, so the result is known before the start.
 * `containers`: Slurm starts a container around each agent.
 */
export function agentPlaces(input: {
  readonly variant: LoadedVariant;
  readonly cluster: ClusterConfig;
  readonly nodes: readonly string[];
  readonly containers: boolean;
  readonly jobDir: string;
}): AgentPlace[] {
  const { variant, cluster, nodes, containers, jobDir } = input;
  const image = containers ? (variant.points[0]?.recipe.model.container ?? null) : null;
  const everywhere: AgentGroup = { name: '', image };
  const places = nodes.map((node): AgentPlace => ({ name: node, node, group: everywhere }));
  if (!containers) return places;
  const runtime = createRuntimeContext({ ...dryRunInput(nodes, cluster), jobDir });
  const groups = new Map<string, AgentGroup>();
  const taken = new Set(nodes);
  // A spare node may have to replace any other node.
  const placesOf = (node: string): readonly string[] => (spareNodesOf(variant) > 0 ? nodes : [node]);
  const place = (node: string, group: AgentGroup) => {
    const name = `${node}/${group.name}`;
    if (!taken.has(name)) places.push({ name, node, group });
    taken.add(name);
  };
  for (const { processes } of eachPoint(planSweep(variant, runtime)))
    for (const { image: other, role, node, mpi } of processes) {
      if (mpi) {
        for (const at of placesOf(node)) place(at, { name: MPI_GROUP, image: null });
        continue;
      }
      if (other === null || other === image) continue;
      const group = groups.get(other) ?? { name: freeName(role, groups), image: other };
      groups.set(other, group);
      for (const at of placesOf(node)) place(at, group);
    }
  return places;
}

function freeName(wanted: string, groups: ReadonlyMap<string, AgentGroup>): string {
  const taken = new Set([MPI_GROUP, ...[...groups.values()].map(({ name }) => name)]);
  let name = wanted;
  for (let number = 2; taken.has(name); number++) name = `${wanted}-${number}`;
  return name;
}
