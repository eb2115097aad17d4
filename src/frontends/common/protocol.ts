import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import type { EndpointProcess, Roles, RuntimeContext } from '../../model/kinds.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';

export interface FrontendContext {
  readonly recipe: Recipe;
  readonly runtime: RuntimeContext;
  readonly roles: Roles;
  readonly processes: readonly EndpointProcess[];
}

/**
 * What requests go through: routers, and nginx where there are several. A new router is one file that
 * implements this and one line in frontends/index.ts.
 */
export interface FrontendProtocol {
  /** `frontend.type` in the recipe. */
  readonly type: string;
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
