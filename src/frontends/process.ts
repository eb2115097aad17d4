import type { DeployPhase, JsonCount, ProcessRole, ProcessSpec } from '../messages/process-spec.ts';
import { fillNode } from '../recipe/resolve.ts';
import type { FrontendContext } from './protocol.ts';

const GRACE_MS = 5_000;
const UNHEALTHY_AFTER_MS = 300_000;

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
  readonly files?: { path: string; content: string }[];
}

/** What routers and nginx have in common: they serve HTTP on one port and end only when they are stopped. */
export function frontendProcess({ recipe, runtime }: FrontendContext, own: FrontendProcess): ProcessSpec {
  const { id, role, phase, node, port, argv, env, image, path, expect, files } = own;
  return {
    id,
    role,
    phase,
    node,
    argv,
    env,
    logFile: `${runtime.logDir}/${node}_${id}.out`,
    ...(files ? { files } : {}),
    gpus: [],
    image,
    ports: { http: port },
    probe: { kind: 'http', host: runtime.address(node), port, path, ...(expect ? { expect } : {}) },
    critical: true,
    terminates: false,
    startTimeoutMs: startTimeoutMs(recipe),
    graceMs: GRACE_MS,
    unhealthyAfterMs: UNHEALTHY_AFTER_MS,
  };
}

/** What the recipe tells every process, and what it tells routers. */
export const routerEnvironment = (
  { recipe, runtime }: FrontendContext,
  node: string,
): Record<string, string> => fillNode({ ...recipe.environment, ...recipe.frontend.env }, runtime, node);

/** A router that waits for its workers takes as long as they do. */
const startTimeoutMs = ({ health_check }: FrontendContext['recipe']): number =>
  health_check.interval_seconds * health_check.max_attempts * 1000;

/**
 * How many workers of each mode a router must know to be ready, no fewer and no more; modes without any are left out. Of
 * workers that a run can do without one is enough (`least`): the others may be lost, before the router looks and after.
 */
export function endpointCounts({
  recipe,
  processes,
}: FrontendContext): { mode: 'prefill' | 'decode' | 'agg'; count: number; least: number }[] {
  return (['prefill', 'decode', 'agg'] as const).flatMap((mode) => {
    const count = processes.filter((process) => process.mode === mode && process.ports.http > 0).length;
    if (count === 0) return [];
    return [{ mode, count, least: recipe.supervision.critical[mode] ? count : 1 }];
  });
}
