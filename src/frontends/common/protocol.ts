import type { Registers } from '../../backends/common/protocol.ts';
import type { DeployPhase } from '../../messages/spec/deploy-phases.ts';
import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import type { Checks, Finding } from '../../model/checks.ts';
import type { EndpointMode, EndpointProcess, Roles, RuntimeContext } from '../../model/kinds.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';

export interface FrontendContext {
  readonly recipe: Recipe;
  readonly runtime: RuntimeContext;
  readonly roles: Roles;
  readonly processes: readonly EndpointProcess[];
  /** How the workers of a mode register with a router. */
  readonly registers: (mode: EndpointMode) => Registers;
}

/** A lower limit for the release of the job's nats-server. */
export interface NatsNeed {
  readonly release: string;
  /** The program that needs it: `Dynamo 0.8.1`. */
  readonly user: string;
  /** false: the recipe does not fix this release. */
  readonly isCertain: boolean;
}

/** A program that runs once on a node before any engine. */
export interface Step {
  /** `fetch-model`, `setup`; with the number of its node it is the process's id. */
  readonly name: string;
  readonly phase: DeployPhase;
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
}

/** Steps of a router. */
export interface RouterSteps {
  /** On one node of the workers. */
  readonly once: readonly Step[];
  /** In the image of the engines and routers, on each of their nodes. */
  readonly inImage: readonly Step[];
}

/**
 * The entry for requests: routers, and nginx where there are several. A new router is one file that exports
 * this, and one line in frontends/index.ts; no other code knows the routers.
 */
export interface FrontendProtocol extends Checks {
  /** `frontend.type` in the recipe. */
  readonly type: string;
  /** A description for the reference of recipes: `the SGLang router`. */
  readonly summary: string;
  /**
   * Further engines whose workers it supports, besides engines that name it: all workers, or only aggregated
   * ones.
   */
  readonly engines?: Readonly<Record<string, 'all' | 'aggregated'>>;
  /** The mode whose workers' name of the model clients use, where it is not that of the workers that answer. */
  readonly namedBy?: EndpointMode;
  /** Settings that the recipe's release refuses: a warning for each, but not for simulated engines. */
  refused?(recipe: Recipe): Finding[];
  /** Time that its workers need from SIGTERM to SIGKILL, where it is more than usual. */
  readonly workerGraceMs?: number;
  /** The oldest nats-server that its release and its workers run with; undefined where any will do. */
  natsNeed?(recipe: Pick<Recipe, 'dynamo'>): NatsNeed | undefined;
  /** true: one of its steps writes into the image of the engines. */
  writesImage?(recipe: Recipe): boolean;
  /** The steps on the nodes of `runtime` before it and its workers can start. */
  steps?(recipe: Recipe, runtime: RuntimeContext): RouterSteps;
  /** false: a job of services alone has no workers. */
  readonly servesWorkers?: boolean;
  /** true: it finds its workers through etcd, which therefore starts first. */
  readonly needsEtcd: boolean;
  /** false: it refuses /v1/completions with a prompt of token ids. */
  readonly takesTokenIds: boolean;
  /** true: it has no /v1/completions, so that a benchmark asks /v1/chat/completions. */
  readonly chatAlone?: boolean;
  /** Routers and, where there are several, the nginx in front of them; with probes that count workers. */
  processes(context: FrontendContext): ProcessSpec[];
  /** The address for the benchmark's requests: a node and a port. */
  entry(context: FrontendContext): { node: string; port: number };
}
