/**
 * The kinds that plan/ deals in. This file holds types alone and imports only messages/, so the rooms below
 * plan/ (backends, frontends, benchmarks) may use it too: it is the vocabulary that they share.
 */
import type { EndpointMode, ProcessPorts, ProcessSpec } from '../messages/spec/process-spec.ts';
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
}

/** Name by which workers serve the model. */
export interface ServedModel {
  readonly name: string;
  /** The recipe gives it; else it follows from the model's path. */
  readonly isGiven: boolean;
}

/** Which node does what beside the workers. */
export interface Roles {
  readonly head: string;
  readonly infra: string;
  readonly bench: string;
  readonly workers: readonly string[];
}

/** Addresses of what the job itself runs; decided when the job starts, since fixed ports collide on shared nodes. */
export interface InfraPorts {
  readonly nats: number;
  readonly etcdClient: number;
  readonly etcdPeer: number;
}

/**
 * The one place where paths, addresses and names of a job are computed. It is pure: everything that
 * it answers follows from what it was made of (job id, nodes and addresses, directories, cluster config).
 */
export interface JobContext {
  readonly jobId: string;
  readonly nodes: readonly string[];
  readonly infraPorts: InfraPorts;
  /** Name by which other nodes reach a node (Slurm: its host name; local: its loopback address). */
  host(node: string): string;
  /** IP address of a node. */
  address(node: string): string;
  /**
   * The port that a process of `node` has in place of one of the plan's own: the same one, except where nodes and jobs
   * share a machine.
   */
  port(node: string, planned: number): number;
  /** What a server of ours binds on a node: its own address where nodes share a machine, else every address. */
  listenAddress(node: string): string;
  /** The interface by which nodes are to reach each other, where srtslurm.yaml names one; of nodes on one machine `lo`. */
  readonly networkInterface: string | null;
  /** true: engines run in containers, with the job's directories mounted at fixed places. */
  readonly containers: boolean;
  /** true: what is written into a container is gone with its process, for each has a container of its own. */
  readonly containerPerProcess: boolean;
  /** Directory of the job on the shared file system, as the coordinator and agents see it. */
  readonly jobDir: string;
  readonly logDir: string;
  /** `logDir` as a process of the job sees it: in a container /logs, on a bare host the same as logDir. */
  readonly logDirInside: string;
  /** Directory for what need not outlive the job (etcd's data, nginx's buffers). It exists on every node. */
  readonly tmpDir: string;
  /** Directory of srtctl's own bundled programs (loadgen.js), and the node binary that runs them. */
  readonly distDir: string;
  readonly nodeBinary: string;
  /** etcd: a path where one was named or came with srtctl, else the name by which each node finds its own. */
  readonly etcdBinary: string;
  /** Script (absolute path, as a container sees it) that runs once on each node before any engine. */
  readonly setupScript: string | null;
  /** false with simulated engines, which need no model and no Dynamo. */
  readonly realEngines: boolean;
  /** false: there is none, on any node, and engines are to look for none. */
  readonly hasGpus: boolean;
  /** Directory on the shared file system where `hf:` models are kept; null: each node has its own. */
  readonly hfHome: string | null;
  /** Shell commands before every command of the engines' image. */
  readonly bashPreamble: string | null;
  /** Directory of a point (`points/<nn>-<name>`). */
  /** `numbers`: how many a sweep has (numbersOf). */
  pointDir(ordinal: number, name: string, numbers: number): string;
  /** The same context with what depends on the recipe. */
  forRecipe(recipe: Recipe): RuntimeContext;
}

/** A job's context for one recipe: what the model and the image are called where the engines run. */
export interface RuntimeContext extends JobContext {
  /** The model as an engine sees it: /model in a container, the path itself on a bare host, `org/name` for hf: ids. */
  readonly modelPathInside: string;
  /** Container image of the engines after aliases, or null on a bare host. */
  readonly image: string | null;
}

/** Where something is asked over HTTP, as every node reaches it. */
export interface HttpPlace {
  readonly host: string;
  readonly port: number;
  readonly path: string;
}

/** A POST that empties a cache: 200; 400, or 200 with `"success": false`, while requests run. */
export interface Flush extends HttpPlace {
  /** The path in older releases, asked where `path` is 404. */
  readonly older?: string;
  /** What to do where it is 404. */
  readonly advice?: string;
}

/** How a worker is brought to rest before a measurement: its caches emptied, no request of the previous point running. */
export interface WorkerRest {
  /** Its leader. */
  readonly process: string;
  readonly node: string;
  /** Done in this order. Empty: it offers no such thing, for the reason `why`. */
  readonly flush: readonly Flush[];
  readonly why?: string;
  /** GET here answers Prometheus metrics in which each of `gauges` that is there counts requests that run. */
  readonly load: (HttpPlace & { readonly gauges: readonly string[] }) | null;
  /** GET here answers the requests of each data-parallel rank, since a flush answers for the first rank alone. */
  readonly ranks?: HttpPlace & { readonly older: string };
  /** Where it says how many tokens of prompts came from its caches; not for workers that get prompts prefilled. */
  readonly cacheFigures?: CacheFigures;
}

/** Prometheus metrics of a worker that count tokens of prompts, and those of them that came from a cache. */
export interface CacheFigures extends HttpPlace {
  readonly hits: readonly string[];
  readonly prompts: readonly string[];
}

/** One combination of sweep parameters, planned: everything that is to run for it, benchmark included. */
export interface PlannedPoint {
  /** Its number in the recipe's sweep, from 0; other points may be in another allocation, or run before it. */
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
  /** One for each worker. */
  readonly rest: readonly WorkerRest[];
}

/** The benchmark of a point. `process` is null for `manual`: the deployment stays up until it is stopped. */
export interface PlannedBenchmark {
  readonly type: string;
  readonly process: ProcessSpec | null;
  /** Directory (absolute) into which the benchmark writes, and from which its result is read. */
  readonly resultDir: string;
}

/** What running a point does to the processes that its predecessor left; all by their ids, without the benchmark. */
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

/** An allocation whose points are planned when they are asked for: thousands of plans are too many to be held. */
export interface SweepPlan extends Allocation {
  /** Ordinals of the points, as the recipe has them. */
  readonly ordinals: readonly number[];
  /** Ordinals of points whose recipes differ in nothing but their name and what is measured; each as the recipe has them. */
  readonly groups: readonly (readonly number[])[];
  /**
   * A point; undefined when there is none of that number.
   * @throws PlanError with the place in the recipe when it cannot be planned
   */
  point(ordinal: number): PlannedPoint | undefined;
}

/** An allocation with all its points planned. */
export interface Plan extends Allocation {
  /** As the recipe has them. */
  readonly points: readonly PlannedPoint[];
  /** Ordinals of the points in the order in which they run. */
  readonly order: readonly number[];
  /** What each does, in that order; as long as no point fails, after which everything is started anew. */
  readonly changes: readonly PointChange[];
}
