import { hostname } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Logger } from 'pino';
import { SrtctlError } from '../errors.ts';
import type { Guard } from '../guard.ts';
import type { JobSpec } from '../messages/job-files.ts';
import { addressOfInterface, addressTowards } from '../own-address.ts';
import type { ClusterConfig } from '../recipe/cluster.ts';
import type { LoadedVariant } from '../recipe/load.ts';
import { agentPlaces } from '../slurm/agent-places.ts';
import { allocationOf, endOfJob, timeLimitMs } from '../slurm/allocation.ts';
import type { AgentPlace, Platform } from '../slurm/launcher.ts';
import { createLocalPlatform } from '../slurm/local.ts';
import { containerMounts } from '../slurm/mounts.ts';
import { runtimesOf } from '../slurm/runtimes.ts';
import { createSlurmPlatform } from '../slurm/slurm-platform.ts';
import { jobPaths } from './files.ts';

const JOIN_MS = { local: 60_000, nodes: 120_000, containers: 1_800_000 } as const;
/** What `#SBATCH --signal` asks for, and slurmctld's own slack. */
const WARNING_MS = 200_000;

export interface PlatformInput {
  readonly spec: JobSpec;
  readonly cluster: ClusterConfig;
  readonly variant: LoadedVariant;
  readonly distDir: string;
  /** Directories with programs that agents need and PATH may not have. */
  readonly programDirs: readonly string[];
  readonly guard: Guard;
  /** The set of launched processes has changed. */
  readonly onLaunched: () => void;
  /** What a coordinator that was killed holds. */
  readonly claim: number | undefined;
  readonly log: Logger;
  readonly env: NodeJS.ProcessEnv;
}

export interface PlatformChoice {
  readonly platform: Platform;
  readonly nodes: readonly string[];
  readonly headAddress: string;
  readonly agents: readonly AgentPlace[];
  readonly agentPath: { prepend: string[]; append: string[] };
  /** How long agents may take to join, ms. An image may have to be fetched first. */
  readonly join: number;
  /** When the allocation ends, ms since the epoch; null where nothing ends it. */
  readonly endsAt: number | null;
  /** What a SIGTERM means, as far as one can know. */
  whyTerminated(): string;
}

/** Where this job runs: in a Slurm allocation, or on this machine. */
export async function choosePlatform(input: PlatformInput): Promise<PlatformChoice> {
  return input.spec.mode === 'slurm' ? onSlurm(input) : onThisMachine(input);
}

async function onThisMachine({
  spec,
  distDir,
  programDirs,
  guard,
  onLaunched,
  claim,
  env,
}: PlatformInput): Promise<PlatformChoice> {
  const platform = await createLocalPlatform({
    nodes: spec.nodes,
    distDir,
    mock: spec.mock,
    env: { ...env, PATH: [env.PATH ?? '', ...programDirs].join(delimiter) },
    began: (group) => guard.began(group),
    over: (group) => guard.over(group),
    onLaunched,
    claim,
  });
  const [head = ''] = spec.nodes;
  return {
    platform,
    nodes: spec.nodes,
    headAddress: platform.addresses.get(head) ?? '127.0.0.1',
    agents: spec.nodes.map((node) => ({ name: node, node, group: { name: '', image: null } })),
    agentPath: { prepend: [], append: [] },
    join: JOIN_MS.local,
    // Inside of a Slurm job this run ends with it.
    endsAt: endOfJob(env),
    whyTerminated: () => 'told to end (SIGTERM)',
  };
}

async function onSlurm(input: PlatformInput): Promise<PlatformChoice> {
  const { spec, cluster, variant, distDir, programDirs, guard, log, env } = input;
  const allocation = allocationOf(env);
  if (!allocation)
    throw new SrtctlError('no-allocation', 'the coordinator of a Slurm job was started outside of Slurm');
  const containers = usesPyxis(cluster, spec.mock);
  const [{ recipe } = { recipe: undefined }] = variant.points;
  if (!recipe) throw new TypeError('a variant without points');
  const { nodes } = allocation;
  const limitMs = timeLimitMs(recipe.slurm.time_limit ?? cluster.default_time_limit ?? '');
  const endsAt = allocation.endsAt ?? (limitMs === null ? null : Date.now() + limitMs);
  const agents = agentPlaces({ variant, cluster, nodes, containers, jobDir: spec.jobDir });
  const headAddress = await addressOfHead(nodes, cluster);
  const logDir = jobPaths(spec.jobDir, spec.jobId).logs;
  const runtimes = runtimesOf(cluster, process.arch, process.execPath);
  const platform = createSlurmPlatform({
    allocation,
    headAddress,
    containers,
    agentScript: join(distDir, 'node-agent.js'),
    runtimes,
    mounts: containerMounts({
      recipe,
      cluster,
      env,
      job: { id: spec.jobId, name: spec.name, jobDir: spec.jobDir, logDir },
      headAddress,
      srtctl: { distDir, programDirs, runtimes },
      mock: spec.mock,
    }),
    srunOptions: recipe.srun_options,
    logDir,
    env,
    log,
    began: (group) => guard.began(group),
    over: (group) => guard.over(group),
    onLaunched: input.onLaunched,
  });
  return {
    platform,
    nodes,
    headAddress,
    agents,
    agentPath: { prepend: spec.mock ? [join(distDir, 'mock-bin')] : [], append: [...programDirs] },
    join: containers ? JOIN_MS.containers : JOIN_MS.nodes,
    endsAt,
    whyTerminated: () =>
      endsAt !== null && Date.now() > endsAt - WARNING_MS
        ? `Slurm's time limit is near (the job ends at ${new Date(endsAt).toISOString()}): a longer slurm.time_limit gives the run more time`
        : 'Slurm told the job to end (SIGTERM: scancel, time limit or preemption)',
  };
}

/** Simulated engines are programs of the node: they are in a container only when the cluster config says so. */
export const usesPyxis = (cluster: ClusterConfig, mock: boolean): boolean =>
  (cluster.container_runtime ?? (mock ? 'none' : 'pyxis')) === 'pyxis';

/** The head's own address: of the named interface, else the one on the way to another node of the job. */
async function addressOfHead(nodes: readonly string[], cluster: ClusterConfig): Promise<string> {
  const name = cluster.network_interface;
  const found = name ? addressOfInterface(name) : undefined;
  if (found !== undefined) return found;
  for (const host of [nodes[1], nodes[0], hostname()]) {
    if (host === undefined) continue;
    const address = await addressTowards(host).catch(() => undefined);
    if (address !== undefined && !address.startsWith('127.')) return address;
  }
  return nodes.length > 1 ? Promise.reject(noAddress(nodes)) : '127.0.0.1';
}

const noAddress = (nodes: readonly string[]): SrtctlError =>
  new SrtctlError('no-address', `${hostname()} finds no way to ${nodes[1]}: the name has no address here`, {
    hint: 'set network_interface in srtslurm.yaml to the interface that connects the nodes',
  });
