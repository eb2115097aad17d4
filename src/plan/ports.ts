import type { EndpointProcess, JobContext, ProcessPorts } from '../model/kinds.ts';

/** For these ports all ranks of an endpoint get the leader's, or count up from the first rank's. */
const OF_ENDPOINT = new Set<string>(['bootstrap', 'kvEvents', 'nixl'] satisfies (keyof ProcessPorts)[]);

/** The processes of a point with their real ports (JobContext.port). */
export function withRealPorts(
  processes: readonly EndpointProcess[],
  { port }: Pick<JobContext, 'port'>,
): EndpointProcess[] {
  const leaders = new Map(
    processes.filter(({ rank }) => rank === 0).map(({ mode, index, node }) => [`${mode} ${index}`, node]),
  );
  return processes.map((process): EndpointProcess => {
    const leader = leaders.get(`${process.mode} ${process.index}`) ?? process.node;
    const ports = Object.entries(process.ports).map(([name, planned]) => [
      name,
      planned ? port(OF_ENDPOINT.has(name) ? leader : process.node, planned) : planned,
    ]);
    return { ...process, ports: { ...process.ports, ...Object.fromEntries(ports) } };
  });
}
