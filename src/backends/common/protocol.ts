import type * as z from 'zod';
import type { FileSpec, ProbeSpec, ProcessPorts, ProgressSpec } from '../../messages/spec/process-spec.ts';
import type { Checks } from '../../model/checks.ts';
import type {
  Endpoint,
  EndpointProcess,
  Roles,
  RuntimeContext,
  ServedModel,
  WorkerRest,
} from '../../model/kinds.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';

/** What a backend is told when it makes the command of one process. */
export interface WorkerContext {
  readonly recipe: Recipe;
  readonly runtime: RuntimeContext;
  readonly roles: Roles;
  readonly process: EndpointProcess;
  /** All processes of the same endpoint in rank order; the first is the leader. */
  readonly ranks: readonly EndpointProcess[];
  /** All processes of the point, every endpoint. */
  readonly all: readonly EndpointProcess[];
}

/** How often the workers of a mode register. */
export interface Registers {
  /** Times that each process registers, from the same address. */
  readonly each: number;
  /** Each rank of an endpoint may register for itself. */
  readonly ranks: boolean;
}

export type EngineProgress = Omit<Extract<ProgressSpec, { kind: 'metrics' }>, 'hungAfterMs'>;

/**
 * An engine: its part of a recipe, what srtctl cannot do with it, and how it is planned. A new engine is one file that
 * exports this, and one line in backends/index.ts; nothing else knows which engines there are.
 */
export interface BackendProtocol extends Checks {
  /** `backend.type` in the recipe. */
  readonly type: string;
  /** As people write it. */
  readonly name: string;
  /** `backend` of a recipe with this type. */
  readonly schema: z.ZodType<Recipe['backend']>;
  /** Keys of `schema` whose values go into a file as they are, so that a float stays a number when it is read. */
  readonly numberMaps?: readonly string[];
  /** Types of the routers that can have its workers: all of them, or aggregated ones alone. */
  readonly routers: Readonly<Record<string, 'all' | 'aggregated'>>;
  /** How its workers register with a router that workers register with. Default: one time for each leader. */
  registers?(recipe: Recipe): Registers;
  /** `endpoint`: one MPI launch starts all ranks of an endpoint, and its leader stands for it. Default: each rank by itself. */
  readonly launch?: 'process' | 'endpoint';
  /** Nodes that the workers need, beside those for infrastructure. Throws PlanError as allocateEndpoints does. */
  workerNodesNeeded(recipe: Recipe): number;
  /** Logical workers on nodes and GPUs. `workerNodes` in allocation order. Throws PlanError when they do not fit. */
  allocateEndpoints(recipe: Recipe, workerNodes: readonly string[]): Endpoint[];
  /** One process per node of each endpoint, with ports that no other process on that node has. */
  endpointsToProcesses(recipe: Recipe, endpoints: readonly Endpoint[]): EndpointProcess[];
  command(context: WorkerContext): string[];
  /** Name by which its workers serve the model, which clients put into requests. */
  servedModel(recipe: Recipe, runtime: RuntimeContext): ServedModel;
  environment(context: WorkerContext): Record<string, string>;
  /** Text files that must be there before the process starts. */
  files?(context: WorkerContext): FileSpec[];
  /**
   * Ports on which the process listens beside those that it was given or in their place; 0 or null: it does not listen
   * on that one. Before it is started somebody looks that nobody else has them.
   */
  ports?(
    context: WorkerContext,
  ): Partial<Record<keyof ProcessPorts, number | null>> & Record<string, number | null>;
  /** How its agent learns that it is ready: the leader by its HTTP health, a follower by its leader's. */
  healthProbe(context: WorkerContext): ProbeSpec;
  /** How its agent sees that it gets on with its requests; none for what has no figures, as followers. */
  progress?(context: WorkerContext): EngineProgress | undefined;
  /**
   * Regular expressions: a line of a worker's log that matches one says that the worker is of no use any more, though its
   * process goes on running. Matched against each line's first 500 characters, without colours; they must not backtrack.
   */
  readonly fatalLines?: readonly string[];
  /** How a worker (its leader's context) is brought to rest between two measurements. Default: it cannot be. */
  rest?(context: WorkerContext): Omit<WorkerRest, 'process' | 'node'>;
}
