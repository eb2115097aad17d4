import { basename } from 'node:path/posix';
import { processRuntimeSchema } from '../messages/spec/launch-settings.ts';
import type { InfraPorts, JobContext, RuntimeContext } from '../model/kinds.ts';
import type { ClusterConfig } from '../recipe/schema/cluster.ts';
import type { Recipe } from '../recipe/schema/schema.ts';

/** The input of a job's context. */
export interface RuntimeInput {
  readonly jobId: string;
  /** Nodes of the allocation in order. */
  readonly nodes: readonly string[];
  /** IP address by node. */
  readonly addresses: Readonly<Record<string, string>>;
  /**
   * The hosts in URLs: node names, or addresses where the system cannot resolve the names of nodes (local
   * mode).
   */
  readonly hostNames: 'names' | 'addresses';
  readonly jobDir: string;
  readonly tmpDir: string;
  readonly infraPorts: InfraPorts;
  readonly containers: boolean;
  /** Each process has its own container, instead of one per node for all. */
  readonly containerPerProcess?: boolean;
  readonly cluster: ClusterConfig;
  readonly distDir: string;
  readonly nodeBinary: string;
  readonly etcdBinary?: string;
  readonly setupScript: string | null;
  readonly realEngines: boolean;
  /** Engines parse their command lines before they start. Default: no, as for a plan that is only looked at. */
  readonly checksOptions?: boolean;
  /** Default: a node has the planned ports. */
  readonly port?: (node: string, planned: number) => number;
  readonly hasGpus?: boolean;
}

/** Paths in a container where the job's directories are mounted. */
const INSIDE = { model: '/model', logs: '/logs' } as const;

/** Ports without conflicts: the defaults of NATS and etcd. */
const DEFAULT_INFRA_PORTS: InfraPorts = { nats: 4222, etcdClient: 2379, etcdPeer: 2380 };

export function createRuntimeContext(input: RuntimeInput): JobContext {
  const {
    jobId,
    nodes,
    addresses,
    jobDir,
    tmpDir,
    infraPorts,
    containers,
    distDir,
    nodeBinary,
    etcdBinary = 'etcd',
    setupScript,
    realEngines,
    cluster,
  } = input;
  const logDir = `${jobDir}/logs`;
  const address = (node: string): string => {
    const found = addresses[node];
    if (found === undefined) throw new TypeError(`no address of node ${node}`);
    return found;
  };
  const byName = input.hostNames === 'names';
  const job: JobContext = {
    jobId,
    nodes,
    infraPorts,
    containers,
    containerPerProcess: input.containerPerProcess === true,
    jobDir,
    logDir,
    // Simulated engines run on the node itself, even where the recipe has a container for them.
    logDirInside: containers && realEngines ? INSIDE.logs : logDir,
    tmpDir,
    distDir,
    srtctlRoot: cluster.srtctl_root ?? null,
    nodeBinary,
    etcdBinary,
    setupScript,
    realEngines,
    visibleDevices: cluster.visible_devices_env ?? 'CUDA_VISIBLE_DEVICES',
    checksOptions: realEngines && input.checksOptions === true,
    hasGpus: input.hasGpus !== false,
    hfHome: cluster.hf_home ?? null,
    bashPreamble: cluster.default_bash_preamble ?? null,
    gitEnvironment: gitEnvironment(cluster.git_http_version),
    address,
    host: (node) => (byName ? node : address(node)),
    // Nodes on one machine share their ports, so no process may bind them on all addresses.
    port: input.port ?? ((_, planned) => planned),
    networkInterface: byName ? (cluster.network_interface ?? null) : 'lo',
    listenAddress: (node) => (byName ? '0.0.0.0' : address(node)),
    pointDir: (ordinal, name, numbers) =>
      `${jobDir}/points/${pointNumber(ordinal, numbers)}-${fileSafe(name)}`,
    forRecipe: ({ model }): RuntimeContext => ({
      ...job,
      modelPathInside: modelInside(model, containers, realEngines),
      image: containers ? model.container : null,
    }),
  };
  return job;
}

/** git-config(1), ENVIRONMENT: one setting more than git's files have. */
const gitEnvironment = (version: string | null | undefined): Record<string, string> =>
  version == null
    ? {}
    : { GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'http.version', GIT_CONFIG_VALUE_0: version };

function modelInside({ path, stage_dir: disk }: Recipe['model'], containers: boolean, real: boolean): string {
  if (path.startsWith('hf:')) return path.slice('hf:'.length);
  if (disk != null && real) return stagedAt(path, disk);
  return sourceInside(path, containers);
}

/** A model's directory as the copying step sees it. */
export const sourceInside = (path: string, containers: boolean): string => (containers ? INSIDE.model : path);

/**
 * A model's path on a node's own disk; the same in a container, because the disk is mounted at its own path.
 */
export const stagedAt = (path: string, disk: string): string =>
  `${disk.replace(/\/+$/, '')}/${basename(path)}`;

/**
 * A number with at least two digits, or as many as the largest of all `numbers` has, so that directories sort
 * like points.
 */
export const pointNumber = (ordinal: number, numbers: number): string =>
  String(ordinal).padStart(Math.max(2, String(numbers - 1).length), '0');

const fileSafe = (name: string): string => name.replaceAll(/[^\w.-]+/g, '-').slice(0, 100);

/** The context of a displayed plan: nodes at 10.0.0.1 and on, default ports, containers. */
export function dryRunInput(nodes: readonly string[], cluster: ClusterConfig): RuntimeInput {
  const jobId = '12345';
  return {
    jobId,
    nodes,
    addresses: Object.fromEntries(nodes.map((node, index) => [node, dryRunAddress(index)])),
    hostNames: 'names',
    jobDir: `${cluster.output_dir ?? '/outputs'}/${jobId}`,
    tmpDir: `/tmp/srtctl-${jobId}`,
    infraPorts: DEFAULT_INFRA_PORTS,
    containers: cluster.container_runtime !== 'none',
    containerPerProcess: processRuntimeSchema.safeParse(cluster.container_runtime).success,
    cluster,
    distDir: `${cluster.srtctl_root ?? '/opt/srtctl'}/dist`,
    nodeBinary: 'node',
    setupScript: null,
    realEngines: true,
  };
}

function dryRunAddress(index: number): string {
  const host = index + 1;
  return `10.${(host >> 16) & 255}.${(host >> 8) & 255}.${host & 255}`;
}
