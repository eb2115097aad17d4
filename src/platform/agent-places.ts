import { eachPoint, planSweep, spareNodesOf } from '../plan/plan.ts';
import { createRuntimeContext, dryRunInput } from '../plan/runtime-context.ts';
import type { LoadedVariant } from '../recipe/load.ts';
import type { ClusterConfig } from '../recipe/schema/cluster.ts';
import type { AgentGroup, AgentPlace } from './launch/launcher.ts';

/** Agents outside of the engines' container, where srun exists. They start the ranks of MPI launches. */
export const MPI_GROUP = 'mpi';
/** Agents outside of the engines' container, for the commands of `host_setup`. */
export const HOST_GROUP = 'host';

/**
 * The agents of a job: one on each node in the engines' image, and for each further image (nginx, the image of a role,
 * exporters) or set of srun's options one on each node that needs it. The nodes do not depend on addresses, so the result is known before the start.
 * `containers`: Slurm starts a container around each agent.
 */
export function agentPlaces(input: {
  readonly variant: LoadedVariant;
  readonly cluster: ClusterConfig;
  readonly nodes: readonly string[];
  readonly containers: boolean;
  readonly jobDir: string;
  /** The recipe's `host_setup` runs. */
  readonly hostSetup?: boolean;
}): AgentPlace[] {
  const { variant, cluster, nodes, containers, jobDir, hostSetup } = input;
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
  const sweep = planSweep(variant, runtime);
  const { commands = [], teardown = [] } = (hostSetup ? sweep.hostSetup() : null) ?? {};
  for (const { node } of [...commands, ...teardown]) place(node, { name: HOST_GROUP, image: null });
  for (const { processes } of eachPoint(sweep))
    for (const { image: other, role, node, mpi, srunOptions } of processes) {
      if (mpi) {
        for (const at of placesOf(node)) place(at, { name: MPI_GROUP, image: null });
        continue;
      }
      if (other === null || (other === image && !srunOptions)) continue;
      const key = JSON.stringify([other, srunOptions]);
      const group = groups.get(key) ?? {
        ...{ name: freeName(role, groups), image: other },
        ...(srunOptions ? { srunOptions } : {}),
      };
      groups.set(key, group);
      for (const at of placesOf(node)) place(at, group);
    }
  return places;
}

function freeName(wanted: string, groups: ReadonlyMap<string, AgentGroup>): string {
  const taken = new Set([MPI_GROUP, HOST_GROUP, ...[...groups.values()].map(({ name }) => name)]);
  let name = wanted;
  for (let number = 2; taken.has(name); number++) name = `${wanted}-${number}`;
  return name;
}
