import type { Logger } from 'pino';
import type { Bus } from '../../messages/bus/bus.ts';
import type { AllDesired } from '../../messages/events/control.ts';
import { WIRE_VERSION } from '../../messages/events/events.ts';
import type { Subjects } from '../../messages/events/subjects.ts';
import { STOP_GROUP_MS, STOP_ORDER } from '../../messages/spec/process-spec.ts';
import type { Platform } from '../../platform/launch/launcher.ts';
import type { Roster, Supervision } from '../agents/roster.ts';
import type { Deployment } from './deployment.ts';

const REPEAT_MS = 500;
/** Time for each agent to say that it heard the stop, and for all of them at most. */
const HEARD_MS = 0.2;
const MOST_HEARD_MS = 200;
const LEAVE_TIMEOUT_MS = 15_000;
/** Beyond the lease, for agents that wait for processes with a long grace. */
const PATIENCE_MS = 60_000;

export interface CleanupOptions {
  readonly epoch: number;
  readonly subjects: Subjects;
  readonly roster: Roster;
  readonly platform: Platform;
  readonly supervision: Supervision;
  readonly log: Logger;
  /** undefined before there is one: nothing was started then. */
  readonly bus: () => Bus | undefined;
  readonly deployment: () => Deployment | undefined;
  /** Without a bus nobody hears the empty set: agents are ended by signal, and end what they run. */
  readonly isBusGone: () => boolean;
}

/**
 * The empty set to everybody, again and again, until nothing is left or who is left has no lease any more. Before it, for
 * each group of processes but the last, a set of what may stay until the group is gone.
 */
export async function cleanUp(options: CleanupOptions): Promise<void> {
  const { supervision, log, roster, platform } = options;
  if (!options.isBusGone()) await stopInOrder(options);
  const generation = options.deployment()?.clear();
  if (options.isBusGone()) await platform.stop(roster.lost);
  if (generation === undefined || options.isBusGone()) return;
  const deadline = AbortSignal.timeout(supervision.leaseMs + PATIENCE_MS);
  const startedAt = performance.now();
  const elapsedMs = () => Math.round(performance.now() - startedAt);
  try {
    await repeating(options, { generation, end: false }, async () => {
      await roster.until(() => roster.isTold(generation), deadline);
      const toldMs = elapsedMs();
      await roster.until(() => roster.isClean(generation), deadline);
      log.info({ agents: roster.nodes.length, toldMs, cleanMs: elapsedMs() }, 'cleanup');
    });
  } catch {
    log.error({ nodes: roster.unclean(generation) }, 'cleanup is not complete');
  }
}

/** Tells every agent to end, waits for their goodbyes, and lets the platform end what does not. */
export async function dismissAgents(options: CleanupOptions): Promise<void> {
  const { roster, platform } = options;
  const generation = options.deployment()?.clear();
  const isGone = (node: string) => ['left', 'lost', 'expected'].includes(roster.stateOf(node) ?? 'left');
  if (generation !== undefined && !options.isBusGone()) {
    const deadline = AbortSignal.timeout(LEAVE_TIMEOUT_MS);
    await repeating(options, { generation, end: true }, () =>
      roster.until(() => roster.nodes.every(isGone), deadline).catch(() => undefined),
    );
  }
  await platform.stop(roster.lost);
}

async function stopInOrder({ deployment, roster, ...options }: CleanupOptions): Promise<void> {
  const running = deployment()?.wanted ?? [];
  const groups = STOP_ORDER.filter((roles) => running.some(({ role }) => roles.includes(role)));
  for (let first = 0; first + 1 < groups.length; first++) {
    const keep = groups.slice(first + 1).flat();
    const staying = new Map<string, number>();
    for (const spec of running.filter(({ role }) => keep.includes(role))) {
      const agent = deployment()?.agentOf(spec) ?? spec.node;
      staying.set(agent, (staying.get(agent) ?? 0) + 1);
    }
    const generation = deployment()?.clear();
    if (generation === undefined || options.isBusGone()) return;
    const deadline = AbortSignal.timeout(STOP_GROUP_MS);
    const isGone = () => options.isBusGone() || roster.isClean(generation, (node) => staying.get(node) ?? 0);
    await repeating({ ...options, deployment, roster }, { generation, end: false, keep }, () =>
      roster.until(isGone, deadline).catch(() => undefined),
    );
  }
}

async function repeating(
  { epoch, subjects, bus, roster }: CleanupOptions,
  what: Pick<AllDesired, 'generation' | 'end' | 'keep'>,
  wait: () => Promise<void>,
): Promise<void> {
  const afterMs = Math.min(Math.round(roster.nodes.length * HEARD_MS), MOST_HEARD_MS);
  const message: AllDesired = { v: WIRE_VERSION, epoch, ...what, afterMs };
  const tell = () => bus()?.publish(subjects.allDesired, message);
  const repeat = setInterval(tell, REPEAT_MS);
  tell();
  try {
    await wait();
  } finally {
    clearInterval(repeat);
  }
}
