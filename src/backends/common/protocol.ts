import type * as z from 'zod';
import type { FileSpec, ProbeSpec, ProcessPorts, ProgressSpec } from '../../messages/spec/process-spec.ts';
import type { Checks } from '../../model/checks.ts';
import type {
  Endpoint,
  EndpointMode,
  EndpointProcess,
  Roles,
  RuntimeContext,
  ServedModel,
  WorkerRest,
} from '../../model/kinds.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import type { PortAllocator } from '../../recipe/values/ports.ts';

/** Input for the command of one worker process. */
export interface WorkerContext {
  /** As its mode sees it (model/recipe-of.ts). */
  readonly recipe: Recipe;
  readonly runtime: RuntimeContext;
  readonly roles: Roles;
  readonly process: EndpointProcess;
  /** All processes of the same endpoint in rank order; the first is the leader. */
  readonly ranks: readonly EndpointProcess[];
  /** All processes of the point, every endpoint. */
  readonly all: readonly EndpointProcess[];
}

/** How the workers of a mode register. */
export interface Registers {
  /** How often each process registers from the same address. */
  readonly each: number;
  /** Each rank of an endpoint may register for itself. */
  readonly ranks: boolean;
  /** Of their addresses, where it is not http. */
  readonly scheme?: 'grpc';
}

export type EngineProgress = Omit<Extract<ProgressSpec, { kind: 'metrics' }>, 'hungAfterMs'>;

/**
 * An engine: its part of a recipe, its limits in srtctl, and its planning. A new engine is one file that
 * exports this, and one line in backends/index.ts; no other code knows the engines.
 */
export interface BackendProtocol extends Checks {
  /** `backend.type` in the recipe. */
  readonly type: string;
  /** The engine's name in texts. */
  readonly name: string;
  /** `backend` of a recipe with this type. */
  readonly schema: z.ZodType<Recipe['backend']>;
  /** Keys of `schema` whose values are copied into a file, so that a float must stay a number. */
  readonly numberMaps?: readonly string[];
  /** Types of the routers that support its workers: all of them, or only aggregated ones. */
  readonly routers: Readonly<Record<string, 'all' | 'aggregated'>>;
  /** It can run beside a sidecar of Dynamo: all workers, or only aggregated ones. */
  readonly sidecar?: 'all' | 'aggregated';
  /** How its workers register with a router. Default: one registration for each leader. */
  registers?(recipe: Recipe): Registers;
  /**
   * `endpoint`: one MPI launch starts all ranks of an endpoint, and its leader represents it. Default: agents
   * start each rank.
   */
  readonly launch?: 'process' | 'endpoint';
  /**
   * Nodes that the workers need, without those for infrastructure. Throws PlanError as allocateEndpoints
   * does.
   */
  workerNodesNeeded(recipe: Recipe): number;
  /** Logical workers on nodes and GPUs. `workerNodes` in allocation order. Throws PlanError when they do not fit. */
  allocateEndpoints(recipe: Recipe, workerNodes: readonly string[]): Endpoint[];
  /**
   * One process per node of each endpoint, with ports that no other process on that node has. Where engines differ by
   * mode, `endpoints` are those of one mode.
   */
  endpointsToProcesses(
    recipe: Recipe,
    endpoints: readonly Endpoint[],
    ports: PortAllocator,
  ): EndpointProcess[];
  /** Image of the workers of a mode, where the engine's section has it. */
  image?(recipe: Recipe, mode: EndpointMode): string | null | undefined;
  command(context: WorkerContext): string[];
  /** The name by which its workers serve the model, for clients' requests. */
  servedModel(recipe: Recipe, runtime: RuntimeContext): ServedModel;
  environment(context: WorkerContext): Record<string, string>;
  /** Text files that must exist before the process starts. */
  files?(context: WorkerContext): FileSpec[];
  /**
   * Ports that the process uses in addition to, or instead of, its given ones; 0 or null: it does not use
   * that one. The agent checks before the start that they are free.
   */
  ports?(
    context: WorkerContext,
  ): Partial<Record<keyof ProcessPorts, number | null>> & Record<string, number | null>;
  /** How the agent finds out that it is ready: the leader by its HTTP health, a follower by its leader's. */
  healthProbe(context: WorkerContext): ProbeSpec;
  /** How the agent sees that it makes progress; none for processes without figures, such as followers. */
  progress?(context: WorkerContext): EngineProgress | undefined;
  /**
   * Regular expressions: a matching line of a worker's log shows that the worker can no longer serve although
   * its process keeps running. Matched against each line's first 500 characters, without colours; they must
   * not backtrack.
   */
  readonly fatalLines?: readonly string[];
  /**
   * How to bring a worker (with its leader's context) to rest between two measurements. Default: there is no
   * way.
   */
  rest?(context: WorkerContext): Omit<WorkerRest, 'process' | 'node'>;
}

/** The name of a mode in the sections that recipes have for each mode. */
export const recipeMode = (mode: EndpointMode) => (mode === 'agg' ? 'aggregated' : mode);
