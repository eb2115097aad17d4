import type { Registers } from '../../backends/common/protocol.ts';
import type { DeployPhase, ProcessSpec } from '../../messages/spec/process-spec.ts';
import type { Checks, Finding } from '../../model/checks.ts';
import type { EndpointProcess, Roles, RuntimeContext } from '../../model/kinds.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';

export interface FrontendContext {
  readonly recipe: Recipe;
  readonly runtime: RuntimeContext;
  readonly roles: Roles;
  readonly processes: readonly EndpointProcess[];
  /** How often the workers register with a router that workers register with. */
  readonly registers: Registers;
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
 * What requests go through: routers, and nginx where there are several. A new router is one file that
 * exports this, and one line in frontends/index.ts; nothing else knows which routers there are.
 */
export interface FrontendProtocol extends Checks {
  /** `frontend.type` in the recipe. */
  readonly type: string;
  /** What it is, for the reference of recipes: `the SGLang router`. */
  readonly summary: string;
  /** Types of engines whose workers it can have beside those that name it: all of them, or aggregated ones alone. */
  readonly engines?: Readonly<Record<string, 'all' | 'aggregated'>>;
  /** What the release in the recipe is known to refuse: a warning for each, but not for simulated engines. */
  refused?(recipe: Recipe): Finding[];
  /** true: it and its workers send traces where `observability.otel_endpoint` says. */
  readonly traces?: boolean;
  /** How long its workers take to end at most, from SIGTERM to SIGKILL, where that is more than usual. */
  readonly workerGraceMs?: number;
  /** What has to be done on the nodes of `runtime` before it and its workers can start. */
  steps?(recipe: Recipe, runtime: RuntimeContext): RouterSteps;
  /** true: it finds its workers through etcd, which is then started first. */
  readonly needsEtcd: boolean;
  /** true: it waits for its workers itself, and is started together with them. */
  readonly waitsForWorkers: boolean;
  /** false: it refuses /v1/completions with a prompt of token ids. */
  readonly takesTokenIds: boolean;
  /** Routers and, where there are several, the nginx in front of them; with probes that count workers. */
  processes(context: FrontendContext): ProcessSpec[];
  /** Where the benchmark sends its requests: a node and port. */
  entry(context: FrontendContext): { node: string; port: number };
}
