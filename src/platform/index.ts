import { hostname } from 'node:os';
import { delimiter, join } from 'node:path';
import type { Logger } from 'pino';
import { jobPaths } from '../messages/job-directory/files.ts';
import type { AgentConfig, JobSpec } from '../messages/job-directory/job-files.ts';
import type { ProcessContainers } from '../messages/spec/launch-settings.ts';
import { SrtctlError } from '../os/errors.ts';
import { addressOfInterface, addressTowards } from '../os/own-address.ts';
import type { Guard } from '../os/processes/guard.ts';
import type { SteadyClock } from '../os/steady-clock.ts';
import type { LoadedVariant } from '../recipe/load.ts';
import type { ClusterConfig } from '../recipe/schema/cluster.ts';
import type { Recipe } from '../recipe/schema/schema.ts';
import { timeLimitMs } from '../recipe/values/time-limit.ts';
import { agentPlaces } from './agent-places.ts';
import { containerRuntimeOf, processRuntimeOf } from './container-runtime.ts';
import { installOptions } from './install-options.ts';
import type { AgentPlace, Platform } from './launch/launcher.ts';
import { requirePidNamespace } from './launch/pid-namespace.ts';
import { createLocalPlatform } from './local/local-platform.ts';
import { containerMounts, jobValues, withJobOptions } from './mounts.ts';
import { runtimesOf, spareRuntimesOf } from './runtimes.ts';
import { allocationOf, endOfJob, isNearLimit } from './slurm/allocation.ts';
import { timeLimitOf } from './slurm/sbatch.ts';
import { createSlurmPlatform } from './slurm/slurm-platform.ts';

const JOIN_MS = { local: 60_000, nodes: 120_000, containers: 1_800_000 } as const;

export interface PlatformInput {
  readonly spec: JobSpec;
  readonly cluster: ClusterConfig;
  readonly variant: LoadedVariant;
  readonly distDir: string;
  /** Directory of the job on each node's own disk. */
  readonly nodeTmpDir: string;
  /** Prefix of the path of each agent's own directory on its node. */
  readonly stopDirs: string;
  /** Directories with programs that agents need and that may be missing in PATH. */
  readonly programDirs: readonly string[];
  readonly guard: Guard;
  /** Puts the coordinator's mark on the command of a local agent. */
  readonly mark: ((argv: readonly string[]) => string[]) | undefined;
  /** The set of launched processes has changed. */
  readonly onLaunched: () => void;
  /** The platform's claim of a coordinator that was killed. */
  readonly claim: number | undefined;
  readonly clock: SteadyClock;
  readonly log: Logger;
  readonly env: NodeJS.ProcessEnv;
}

export interface PlatformChoice {
  readonly platform: Platform;
  readonly nodes: readonly string[];
  readonly headAddress: string;
  readonly agents: readonly AgentPlace[];
  readonly agentPath: { prepend: string[]; append: string[] };
  /** How agents start containers and processes with several ranks. */
  readonly launch: Pick<AgentConfig, 'containers' | 'mpi'>;
  /** How long agents may take to join, ms. Slurm may have to fetch an image first. */
  readonly join: number;
  /** When the allocation ends, ms since the epoch; null when it has no end. */
  readonly endsAt: number | null;
  /** The most likely reason of a SIGTERM. */
  whyTerminated(): string;
}

/** Where this job runs: in a Slurm allocation, or on this machine. */
export async function choosePlatform(input: PlatformInput): Promise<PlatformChoice> {
  return input.spec.mode === 'slurm' ? onSlurm(input) : onThisMachine(input);
}

async function onThisMachine(input: PlatformInput): Promise<PlatformChoice> {
  const { spec, cluster, variant, distDir, programDirs, guard, onLaunched, claim, env } = input;
  const pidNamespace = wantsPidNamespace(variant);
  if (pidNamespace) await requirePidNamespace();
  const platform = await createLocalPlatform({
    jobId: spec.jobId,
    mark: input.mark,
    pidNamespace,
    nodes: spec.nodes,
    distDir,
    mock: spec.mock,
    home: input.nodeTmpDir,
    entryPort: spec.entryPort,
    containers: processRuntimeOf(containerRuntimeOf(cluster, spec)) !== undefined,
    env: { ...env, PATH: [env.PATH ?? '', ...programDirs].join(delimiter) },
    began: (group) => guard.began(group),
    over: (group) => guard.over(group),
    onLaunched,
    claim,
  });
  const [head = ''] = spec.nodes;
  const headAddress = platform.addresses.get(head) ?? '127.0.0.1';
  const containers = processContainers(input, { nodes: spec.nodes, headAddress });
  return {
    platform,
    nodes: spec.nodes,
    headAddress,
    agents: spec.nodes.map((node) => ({ name: node, node, group: { name: '', image: null } })),
    agentPath: { prepend: spec.mock && containers ? [join(distDir, 'mock-bin')] : [], append: [] },
    launch: {
      ...(containers ? { containers } : {}),
      ...(spec.mock
        ? { mpi: { kind: 'stand-in', program: [join(distDir, 'mock-bin', 'mpi-stand-in')] } }
        : {}),
    },
    join: JOIN_MS.local,
    // A run inside of a Slurm job ends with that job.
    endsAt: endOfJob(env),
    whyTerminated: () => 'told to end (SIGTERM)',
  };
}

async function onSlurm(input: PlatformInput): Promise<PlatformChoice> {
  const { spec, cluster, variant, distDir, programDirs, guard, clock, log, env } = input;
  const allocation = allocationOf(env);
  if (!allocation)
    throw new SrtctlError('no-allocation', 'the coordinator of a Slurm job was started outside of Slurm');
  const pyxis = containerRuntimeOf(cluster, spec) === 'pyxis';
  const [{ recipe: asked } = { recipe: undefined }] = variant.points;
  if (!asked) throw new TypeError('a variant without points');
  const { nodes } = allocation;
  const limitMs = timeLimitMs(timeLimitOf(asked, cluster) ?? '');
  const endsAt = allocation.endsAt ?? (limitMs === null ? null : clock.now() + limitMs);
  const { jobDir, hostSetup = false } = spec;
  const agents = agentPlaces({ variant, cluster, nodes, containers: pyxis, jobDir, hostSetup });
  const headAddress = await addressOfHead(nodes, cluster);
  const logDir = jobPaths(spec.jobDir, spec.jobId).logs;
  const runtimes = runtimesOf(cluster, distDir);
  const spareRuntimes = spareRuntimesOf(cluster, distDir);
  const containers = processContainers(input, { nodes, headAddress });
  const mounts = mountsOf(input, { nodes, headAddress });
  const job = { id: spec.jobId, name: spec.name, jobDir: spec.jobDir, logDir };
  const recipe = withJobOptions(asked, jobValues({ recipe: asked, job, headAddress, nodes }));
  const srunOptions = pyxis ? installOptions(recipe, spec.setupScript) : recipe.srun_options;
  const platform = createSlurmPlatform({
    allocation,
    headAddress,
    containers: pyxis || containers !== undefined,
    agentScript: join(distDir, 'node-agent.js'),
    pidNamespace: wantsPidNamespace(variant),
    tmpDir: input.nodeTmpDir,
    stopDirs: input.stopDirs,
    runtimes,
    spareRuntimes,
    mounts,
    srunOptions,
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
    launch: {
      ...(containers ? { containers } : {}),
      mpi: {
        kind: 'srun',
        mpi: mpiOf(recipe, spec.mock),
        pyxisMounts: pyxis ? mounts : null,
        options: srunOptions,
        components: allocation.components.map((component) => [...component]),
      },
    },
    join: pyxis ? JOIN_MS.containers : JOIN_MS.nodes,
    endsAt,
    whyTerminated: () =>
      endsAt !== null && isNearLimit(clock.now(), endsAt, limitMs)
        ? `Slurm's time limit is near (the job ends at ${new Date(endsAt).toISOString()}): a longer slurm.time_limit gives the run more time`
        : 'Slurm told the job to end (SIGTERM: scancel, time limit or preemption)',
  };
}

const wantsPidNamespace = ({ points }: LoadedVariant): boolean =>
  points.some(({ recipe }) => recipe.supervision.pid_namespace);

/** A recipe may name the kind of MPI that its image has. Simulated ranks do not communicate. */
const mpiOf = ({ srun_options: options }: Recipe, mock: boolean): string =>
  mock ? 'none' : (options.mpi ?? 'pmix');

interface Places {
  readonly nodes: readonly string[];
  readonly headAddress: string;
}

/** The mounts of every container of the job. */
function mountsOf(input: PlatformInput, { nodes, headAddress }: Places): string[] {
  const { spec, cluster, variant, distDir, programDirs, env } = input;
  const [{ recipe } = { recipe: undefined }] = variant.points;
  if (!recipe) throw new TypeError('a variant without points');
  const { jobDir, jobId: id, name, mock } = spec;
  const runtimes = runtimesOf(cluster, distDir);
  const spareRuntimes = spareRuntimesOf(cluster, distDir);
  return containerMounts({
    recipe,
    cluster,
    env,
    job: { id, name, jobDir, logDir: jobPaths(jobDir, id).logs },
    ...{ headAddress, nodes },
    srtctl: { distDir, programDirs, runtimes, spareRuntimes },
    mock,
  });
}

/** The containers that agents start, one for each process; undefined when agents start no containers. */
function processContainers(input: PlatformInput, places: Places): ProcessContainers | undefined {
  const { cluster, spec, nodeTmpDir } = input;
  const runtime = processRuntimeOf(containerRuntimeOf(cluster, spec));
  if (!runtime) return undefined;
  // Processes of a node share the job's directory on that node, as they do when one container holds the agent and its
  // processes.
  const mounts = [...mountsOf(input, places), `${nodeTmpDir}:${nodeTmpDir}`];
  return { runtime, mounts, home: nodeTmpDir };
}

/**
 * The head's own address: the address of the named interface, else the address on the route to another node of the job.
 */
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
