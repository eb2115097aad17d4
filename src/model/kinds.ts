/**
 * The types of a plan. This file contains only types and imports only messages/, so that the rooms below
 * plan/ (backends, frontends, benchmarks) can use it, too.
 */
import type { EndpointMode, ProcessPorts, ProcessSpec } from '../messages/spec/process-spec.ts';
import type { VisibleDevices } from '../recipe/schema/cluster.ts';
import type { Recipe } from '../recipe/schema/schema.ts';

export type { EndpointMode, ProcessPorts, ProcessSpec } from '../messages/spec/process-spec.ts';

/** A logical worker: `nodes` in rank order; `gpus` are the device indices it uses on each of its nodes. */
export interface Endpoint {
  readonly mode: EndpointMode;
  readonly index: number;
  readonly nodes: readonly string[];
  readonly gpus: readonly number[];
}

/** One rank of an endpoint, placed on a node, with its ports. Rank 0 is the leader; a follower has http port 0. */
export interface EndpointProcess {
  readonly mode: EndpointMode;
  readonly index: number;
  readonly node: string;
  readonly rank: number;
  readonly gpus: readonly number[];
  readonly ports: ProcessPorts;
  /** From 1: a standby engine on the GPUs of its endpoint, which takes over when the serving engine ends. */
  readonly standby?: number;
}

/** The name by which workers serve the model. */
export interface ServedModel {
  readonly name: string;
  /** Whether the recipe sets it; else it is derived from the model's path. */
  readonly isGiven: boolean;
}

/** The nodes with other tasks than workers. */
export interface Roles {
  readonly head: string;
  readonly infra: string;
  readonly bench: string;
  /** Nodes of further benchmark clients alone, beside `bench`; absent: none. */
  readonly clients?: readonly string[];
  readonly workers: readonly string[];
  /** Nodes of services alone, by the service that owns them. */
  readonly pools: Readonly<Record<string, readonly string[]>>;
}

/**
 * Ports of the job's own servers; chosen when the job starts, because fixed ports collide on shared nodes.
 */
export interface InfraPorts {
  readonly nats: number;
  readonly etcdClient: number;
  readonly etcdPeer: number;
}

/**
 * The one place where paths, addresses and names of a job are computed. It is pure: all results depend only
 * on its input (job id, nodes and addresses, directories, cluster config).
 */
export interface JobContext {
  readonly jobId: string;
  readonly nodes: readonly string[];
  readonly infraPorts: InfraPorts;
  /** The name by which other nodes reach a node (Slurm: its host name; local: its loopback address). */
  host(node: string): string;
  /** IP address of a node. */
  address(node: string): string;
  /** The port of a process on `node` for a planned one: the same, unless nodes and jobs share a machine. */
  port(node: string, planned: number): number;
  /**
   * The address that a server of ours binds on a node: the node's own where nodes share a machine, else every
   * address.
   */
  listenAddress(node: string): string;
  /**
   * The interface that connects the nodes, where srtslurm.yaml names one; `lo` when all nodes are one
   * machine.
   */
  readonly networkInterface: string | null;
  /** true: engines run in containers, with the job's directories mounted at fixed places. */
  readonly containers: boolean;
  /** true: each process has its own container, so changes in it are lost at its end. */
  readonly containerPerProcess: boolean;
  /** Directory of the job on the shared file system, as the coordinator and agents see it. */
  readonly jobDir: string;
  readonly logDir: string;
  /** `logDir` as a process of the job sees it: /logs in a container, on a bare host the same as logDir. */
  readonly logDirInside: string;
  /** Directory for data that only the job needs (etcd's data, nginx's buffers). It exists on every node. */
  readonly tmpDir: string;
  /** Directory of srtctl's own bundled programs (loadgen.js), and the node binary that runs them. */
  readonly distDir: string;
  /** `srtctl_root` of srtslurm.yaml. */
  readonly srtctlRoot: string | null;
  readonly nodeBinary: string;
  /**
   * etcd: a path where the user named one or srtctl brought it, else the name by which each node finds its
   * own.
   */
  readonly etcdBinary: string;
  /** Script (absolute path, as a container sees it) that runs once on each node before any engine. */
  readonly setupScript: string | null;
  /** false with simulated engines, which need no model and no Dynamo. */
  readonly realEngines: boolean;
  /** The variable that chooses the GPUs of a process. */
  readonly visibleDevices: VisibleDevices;
  /** Engines and routers parse their command lines in a step before workers start. */
  readonly checksOptions: boolean;
  /** false: no node has GPUs, and engines must not look for any. */
  readonly hasGpus: boolean;
  /** Directory on the shared file system for `hf:` models; null: each node has its own. */
  readonly hfHome: string | null;
  /** Shell commands before every command of the engines' image. */
  readonly bashPreamble: string | null;
  /** Environment of steps that run git. */
  readonly gitEnvironment: Readonly<Record<string, string>>;
  /** Directory of a point (`points/<nn>-<name>`). */
  /** `numbers`: count of the sweep's points (numbersOf). */
  pointDir(ordinal: number, name: string, numbers: number): string;
  /** The same context, extended by everything that depends on the recipe. */
  forRecipe(recipe: Recipe): RuntimeContext;
}

/** A job's context for one recipe: paths of the model and the image where the engines run. */
export interface RuntimeContext extends JobContext {
  /** The model as an engine sees it: /model in a container, the path itself on a bare host, `org/name` for hf: ids. */
  readonly modelPathInside: string;
  /** Container image of the engines after aliases, or null on a bare host. */
  readonly image: string | null;
}

/** An HTTP endpoint, at an address that every node reaches. */
export interface HttpPlace {
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

/** A POST that flushes a cache: 200; 400, or 200 with `"success": false`, while requests run. */
export interface Flush extends HttpPlace {
  /** The path in older releases, used where `path` is 404. */
  readonly older?: string;
  /** The hint when it is 404. */
  readonly advice?: string;
}

/**
 * How to bring a worker to rest before a measurement: flush its caches, and wait until no request of the
 * previous point runs.
 */
export interface WorkerRest {
  /** The worker's leader. */
  readonly process: string;
  readonly node: string;
  /** Sent in this order. Empty when the worker cannot flush, for the reason `why`. */
  readonly flush: readonly Flush[];
  readonly why?: string;
  /** A GET here returns Prometheus metrics; each existing one of `gauges` counts running requests. */
  readonly load: (HttpPlace & { readonly gauges: readonly string[] }) | null;
  /**
   * A GET here returns the requests of each data-parallel rank, because a flush answers for the first rank
   * alone.
   */
  readonly ranks?: HttpPlace & { readonly older: string };
  /**
   * Where the worker reports how many prompt tokens came from its caches; unset for workers that receive
   * prefilled prompts.
   */
  readonly cacheFigures?: CacheFigures;
  /** Where the worker reports what its scheduler did; unset for engines without such metrics. */
  readonly engineFigures?: EngineMetrics;
}

/** Prometheus metrics of a worker: all prompt tokens, and those that came from a cache. */
export interface CacheFigures extends HttpPlace {
  readonly hits: readonly string[];
  readonly prompts: readonly string[];
}

/**
 * Prometheus metrics of a worker's scheduler, by their meaning; releases have different names, and what several
 * names of one meaning say is added up. Counters of speculative decoding are there only when it is on.
 */
export interface EngineMetrics extends HttpPlace {
  /** Counters. */
  readonly preemptions: readonly string[];
  /** Gauges, 0 to 1 for each rank. */
  readonly kvCacheUsage: readonly string[];
  /** Gauges of requests that wait. */
  readonly queue: readonly string[];
  /** Counters of speculative decoding: steps, the tokens that all steps gave, and drafted ones. */
  readonly speculation: {
    readonly steps: readonly string[];
    readonly tokens: readonly string[];
    readonly drafted: readonly string[];
    /** Whether `tokens` has the token that the engine adds to each step. */
    readonly hasOwnToken: boolean;
  };
}

/** A service of a point. */
export interface PlannedService {
  readonly name: string;
  readonly type: string;
  readonly start: string;
  /** The part of the recipe that asks for it; null: it is declared. */
  readonly impliedBy: string | null;
  /** Address of one that runs elsewhere. */
  readonly external: string | null;
  readonly nodes: readonly string[];
  /** Ids of its processes. */
  readonly processes: readonly string[];
  /** The point ends when all such services have ended. */
  readonly terminal: boolean;
  /** It uses neither workers nor routers. */
  readonly standsAlone: boolean;
  /** Its nodes are a pool of its own. */
  readonly owns: boolean;
}

/** One combination of sweep parameters, planned: all its processes, including the benchmark. */
export interface PlannedPoint {
  /**
   * Its number in the recipe's sweep, from 0; the allocation may lack some numbers and run them in another
   * order.
   */
  readonly ordinal: number;
  readonly name: string;
  readonly params: Readonly<Record<string, unknown>> | null;
  readonly recipe: Recipe;
  readonly roles: Roles;
  readonly endpoints: readonly Endpoint[];
  readonly endpointProcesses: readonly EndpointProcess[];
  /** In start order by `phase`; see DeployPhase. */
  readonly processes: readonly ProcessSpec[];
  readonly benchmark: PlannedBenchmark;
  /** Where clients find the deployment; null without a frontend. */
  readonly entry: ServedAt | null;
  readonly services: readonly PlannedService[];
  /** One for each worker. */
  readonly rest: readonly WorkerRest[];
}

/** Where clients find a deployment. */
export interface ServedAt {
  readonly node: string;
  readonly host: string;
  readonly port: number;
  readonly model: string;
}

/** The benchmark of a point. `process` is null for `manual`: the deployment stays up until it is stopped. */
export interface PlannedBenchmark {
  readonly type: string;
  /** Of `manual`: where clients find the deployment. */
  readonly serves?: ServedAt;
  readonly process: ProcessSpec | null;
  /** Further clients that measure with `process`, which merges what they measure. */
  readonly others?: readonly ProcessSpec[];
  /** The type of the evaluation that `process` runs after the benchmark. */
  readonly evaluation?: string;
  /** Steps that end before engines load. */
  readonly before?: readonly ProcessSpec[];
  /** Absolute path of the directory where the benchmark writes its result. */
  readonly resultDir: string;
}

/** What a point changes in the processes of the previous point; all by their ids, without the benchmark. */
export interface PointChange {
  readonly ordinal: number;
  readonly keep: readonly string[];
  readonly restart: readonly string[];
  readonly start: readonly string[];
  readonly stop: readonly string[];
  /** Workers that load their model. */
  readonly engineLoads: number;
}

/** One allocation: a Slurm job with N nodes that runs all points of one variant. */
interface Allocation {
  readonly name: string;
  readonly totalNodes: number;
  readonly gpusPerNode: number;
}

/** The commands that run once on nodes, outside of every container. */
export interface PlannedHostSetup {
  /** One process for each node, before the first point. */
  readonly commands: readonly ProcessSpec[];
  /** The same after the last one. */
  readonly teardown: readonly ProcessSpec[];
  /** A node on which `commands` fail is only a warning. */
  readonly ignoresFailure: boolean;
}

/** An allocation that plans its points on request, because thousands of plans would need too much memory. */
export interface SweepPlan extends Allocation {
  /** Ordinals of the points, in the recipe's order. */
  readonly ordinals: readonly number[];
  /**
   * Groups of points whose recipes differ only in their name and their measurement; ordinals in the recipe's
   * order.
   */
  readonly groups: readonly (readonly number[])[];
  /**
   * A point; undefined when the number does not exist.
   * @throws PlanError with the place in the recipe when it cannot be planned
   */
  point(ordinal: number): PlannedPoint | undefined;
  /** null: the recipe has none. */
  hostSetup(): PlannedHostSetup | null;
}

/** An allocation with all its points planned. */
export interface Plan extends Allocation {
  /** In the recipe's order. */
  readonly points: readonly PlannedPoint[];
  /** Ordinals of the points in running order. */
  readonly order: readonly number[];
  /**
   * The changes of each point in that order, as long as no point fails. After a failure everything is started
   * again.
   */
  readonly changes: readonly PointChange[];
}
