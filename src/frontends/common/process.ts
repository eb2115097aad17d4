import type { DeployPhase } from '../../messages/spec/deploy-phases.ts';
import type { HttpProbe, ProbeStep } from '../../messages/spec/probe-spec.ts';
import type { JsonCount, ProcessRole, ProcessSpec } from '../../messages/spec/process-spec.ts';
import type { EndpointMode } from '../../model/kinds.ts';
import { restartIn } from '../../model/worker-restart.ts';
import { fillNode } from '../../recipe/values/fill-node.ts';
import type { FrontendContext } from './protocol.ts';

/** A router completes its running requests; smg takes 5 s in any case. */
const GRACE_MS = 15_000;
const NGINX_GRACE_MS = 5_000;
const UNHEALTHY_AFTER_MS = 300_000;
/** How long a model may not be listed, or a request may not be answered, after all workers are there. */
const STEPS_WITHIN_MS = 600_000;
/** Engines compile kernels with their first request. */
const FIRST_ANSWER_MS = 300_000;

interface FrontendProcess {
  readonly id: string;
  readonly role: Extract<ProcessRole, 'frontend' | 'nginx'>;
  readonly phase: DeployPhase;
  readonly node: string;
  readonly port: number;
  readonly argv: string[];
  readonly env: Record<string, string>;
  readonly image: string | null;
  readonly path: string;
  readonly expect?: JsonCount[];
  readonly older?: HttpProbe['older'];
  readonly gauge?: HttpProbe['gauge'];
  readonly steps?: ProbeStep[];
  readonly files?: { path: string; content: string }[];
  /** Ports besides the clients' one. */
  readonly otherPorts?: Record<string, number>;
  /** Port of its /metrics. */
  readonly metrics?: number;
  readonly graceMs?: number;
  readonly givesUp?: string;
}

/** A router's image: its own, or that of the engines. */
export const routerImage = ({ recipe, runtime }: FrontendContext): string | null =>
  runtime.containers ? (recipe.frontend.container_image ?? runtime.image) : null;

/** Binds a router to the first NUMA node, where the recipe wants that. */
const NUMA_BIND = ['numactl', '--cpunodebind=0', '--membind=0'];

/** The common part of routers and nginx: they serve HTTP on one port and run until they are stopped. */
export function frontendProcess({ recipe, runtime }: FrontendContext, own: FrontendProcess): ProcessSpec {
  const { id, role, phase, node, port, argv, env, image, path, expect, older, gauge, steps, files } = own;
  const probe: HttpProbe = {
    ...{ kind: 'http', host: runtime.address(node), port, path },
    ...(expect ? { expect } : {}),
    ...(older ? { older } : {}),
    ...(gauge ? { gauge } : {}),
    ...(steps ? { steps, stepsWithinMs: STEPS_WITHIN_MS } : {}),
  };
  return {
    id,
    role,
    phase,
    node,
    argv: role === 'frontend' && recipe.frontend.numa_bind ? [...NUMA_BIND, ...argv] : argv,
    env,
    logFile: `${runtime.logDir}/${node}_${id}.out`,
    ...(files ? { files } : {}),
    gpus: [],
    image,
    ports: { http: port, ...own.otherPorts },
    probe,
    ...(own.metrics === undefined
      ? {}
      : { metrics: [{ host: runtime.address(node), port: own.metrics, path: '/metrics' }] }),
    critical: true,
    terminates: false,
    startTimeoutMs: startTimeoutMs(recipe),
    graceMs: own.graceMs ?? (role === 'nginx' ? NGINX_GRACE_MS : GRACE_MS),
    ...(own.givesUp === undefined ? {} : { givesUp: own.givesUp }),
    unhealthyAfterMs: UNHEALTHY_AFTER_MS,
  };
}

const QUESTION = { model: '{model}', max_tokens: 4, temperature: 0 };

/**
 * A model is listed, and a request for it is answered, because some routers list their workers long before
 * they can use them.
 */
export const modelAnswers = (): ProbeStep[] => [
  { label: 'model', path: '/v1/models', take: { model: ['data', '0', 'id'] } },
  {
    label: 'completion',
    path: '/v1/completions',
    body: { ...QUESTION, prompt: 'Hello' },
    // Some models only support chat.
    or: [
      { path: '/v1/chat/completions', body: { ...QUESTION, messages: [{ role: 'user', content: 'Hello' }] } },
    ],
    take: { choice: ['choices', '0'] },
    timeoutMs: FIRST_ANSWER_MS,
  },
];

/**
 * Expects that only planned workers are registered, in every mode and state of health, because a router also sends requests
 * to a foreign prefill worker beside aggregated ones, and to an unhealthy worker as soon as it recovers.
 */
export const nobodyElse = (
  where: Pick<JsonCount, 'at' | 'where'>,
  planned: {
    readonly field: string[];
    readonly addresses: readonly string[];
    readonly most: number;
    readonly varies: { varies?: true };
  },
): JsonCount => ({
  ...where,
  count: 0,
  most: planned.most,
  ...planned.varies,
  ...(planned.addresses.length > 0
    ? { address: { field: planned.field, among: [], others: [...planned.addresses] } }
    : {}),
  label: 'workers',
});

/** The recipe's environment for every process, and its environment for routers. */
export const routerEnvironment = (
  { recipe, runtime }: FrontendContext,
  node: string,
): Record<string, string> => fillNode({ ...recipe.environment, ...recipe.frontend.env }, runtime, node);

/** Whether workers of any mode may start again. */
export const anyVaries = (counts: ReturnType<typeof endpointCounts>): { varies?: true } =>
  counts.some(({ varies }) => varies.varies) ? { varies: true } : {};

/** A router that waits for its workers takes as long as they do. */
export const startTimeoutMs = ({ health_check }: FrontendContext['recipe']): number =>
  health_check.interval_seconds * health_check.max_attempts * 1000;

/**
 * How many workers of each mode a router must know to be ready, no fewer and no more; modes without workers
 * are left out. Of workers that the run can do without, one is enough (`least`), because the others may be
 * lost before or after the check. `varies`: members of a count whose workers may start again, or hand over to another
 * engine.
 */
export function endpointCounts({ recipe, processes }: FrontendContext): {
  mode: 'prefill' | 'decode' | 'agg';
  count: number;
  least: number;
  varies: { varies?: true };
}[] {
  const standsBy = (mode: EndpointMode) =>
    processes.some((process) => process.mode === mode && process.standby !== undefined);
  return (['prefill', 'decode', 'agg'] as const).flatMap((mode) => {
    const count = processes.filter((process) => process.mode === mode && process.ports.http > 0).length;
    if (count === 0) return [];
    return [
      {
        ...{ mode, count, least: recipe.supervision.critical[mode] ? count : 1 },
        varies: restartIn(recipe, mode) || standsBy(mode) ? { varies: true as const } : {},
      },
    ];
  });
}
