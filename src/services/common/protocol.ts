import type { ProbeSpec, ProcessSpec } from '../../messages/spec/process-spec.ts';
import type { Checks } from '../../model/checks.ts';
import type { Endpoint, EndpointProcess, Roles, RuntimeContext } from '../../model/kinds.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import type { Service, ServiceFacts } from '../../recipe/schema/services.ts';

/** The engine worker that an instance stands beside (`placement.per: worker`). */
export interface AttachedWorker {
  readonly role: Endpoint['mode'];
  readonly index: number;
  /** Place of the node among those of the worker. */
  readonly nodeRank: number;
  readonly gpus: readonly number[];
}

/** One process of a service on a node. */
export interface Instance {
  readonly node: string;
  /** From 0, in the order of the nodes. */
  readonly index: number;
  readonly worker?: AttachedWorker;
}

export interface ServiceContext {
  readonly recipe: Recipe;
  readonly runtime: RuntimeContext;
  readonly roles: Roles;
  readonly service: Service;
  readonly instances: readonly Instance[];
  readonly workers: readonly EndpointProcess[];
}

export interface InstanceContext extends ServiceContext {
  readonly instance: Instance;
}

/**
 * A kind of service: what a recipe may say of it, and how it is planned. A new kind is one file that exports this, and
 * one line in services/index.ts; no other code knows the kinds.
 */
export interface ServiceProtocol extends ServiceFacts {
  /** Options and settings of such a service that srtctl does not support or that have no effect. */
  notDone?(
    service: Service,
    recipe: Recipe,
    way: Parameters<NonNullable<Checks['notDone']>>[1],
  ): ServiceFinding[];
  /** true: it does not use the workers and routers, so it keeps running when they are new. */
  readonly standsAlone?: boolean;
  /** true: exit code 0 is a regular end. */
  readonly mayEnd?: boolean;
  /** true: beside a worker of several nodes it is on the first one alone. */
  readonly leadersAlone?: boolean;
  /** Instance 0 has to be ready before the others start. */
  readonly firstLeads?: boolean;
  /** The image where the recipe names none; default: that of the workers. null: on the node itself. */
  image?(context: ServiceContext): string | null;
  /** The whole command where the recipe has none; without its `args`. */
  command?(context: InstanceContext): string[];
  /** What the recipe's `env` may override, and what it may not. */
  environment?(context: InstanceContext): Record<string, string>;
  ownEnvironment?(context: InstanceContext): Record<string, string>;
  /** Shell commands before those of the recipe. */
  preamble?(context: InstanceContext): string | null;
  /** Ports that it listens on, by name. */
  ports?(context: InstanceContext): Record<string, number>;
  /** Port of its /metrics, where the recipe names none. */
  metrics?(context: InstanceContext): number;
  /** How it is known to be ready where the recipe does not say. Default: it is when it runs. */
  probe?(context: InstanceContext): ProbeSpec;
  files?(context: InstanceContext): NonNullable<ProcessSpec['files']>;
  readonly startTimeoutS?: number;
  readonly graceMs?: number;
  /** The module of Python that its command, a script, starts. */
  readonly module?: string;
  /** In place of all of that: the processes of a service that srtctl runs in its own way. */
  processes?(context: ServiceContext): ProcessSpec[];
}

export interface ServiceFinding {
  /** Keys below the service. */
  readonly path: readonly string[];
  readonly text: string;
}
