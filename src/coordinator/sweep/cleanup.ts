import type { Logger } from 'pino';
import type { Bus } from '../../messages/bus/bus.ts';
import type { AllDesired } from '../../messages/events/control.ts';
import { WIRE_VERSION } from '../../messages/events/events.ts';
import type { Subjects } from '../../messages/events/subjects.ts';
import type { Epoch, Generation } from '../../messages/spec/counters.ts';
import { STOP_GROUP_MS, STOP_ORDER } from '../../messages/spec/process-spec.ts';
import type { Platform } from '../../platform/launch/launcher.ts';
import type { Roster, Supervision } from '../agents/roster.ts';
import type { Fleet } from '../fleet/fleet.ts';

const REPEAT_MS = 500;
/** Time for each agent to acknowledge the stop, and for all of them at most. */
const HEARD_MS = 0.2;
const MOST_HEARD_MS = 200;
const LEAVE_TIMEOUT_MS = 15_000;
/** Time beyond the lease, for agents that wait for processes with a long grace. */
const PATIENCE_MS = 60_000;

export interface CleanerOptions {
  readonly epoch: Epoch;
  readonly subjects: Subjects;
  readonly roster: Roster;
  readonly platform: Pick<Platform, 'stop'>;
  readonly supervision: Pick<Supervision, 'leaseMs'>;
  /**
   * `isOpen`: false before the bus is open, when no process has been started. `isGone`: no agent receives the empty
   * set, so signals end the agents, which end their own processes.
   */
  readonly bus: Pick<Bus, 'publish'> & { readonly isOpen: boolean; readonly isGone: boolean };
  readonly fleet: Pick<Fleet, 'clear' | 'wanted' | 'agentOf'>;
  readonly log: Logger;
}

/** Stops every process of the job on every node. */
export class Cleaner {
  readonly #options: CleanerOptions;
  readonly #before = new Set<Promise<unknown>>();

  constructor(options: CleanerOptions) {
    this.#options = options;
  }

  /** No cleanup begins before `work` has ended, because work that was given up may still start something. */
  after<T>(work: Promise<T>): Promise<T> {
    this.#before.add(work);
    work.then(
      () => this.#before.delete(work),
      () => this.#before.delete(work),
    );
    return work;
  }

  /**
   * Broadcasts the empty set until no process is left, or until the lease of every agent that still reports one has
   * expired. Before that, for each group of processes but the last, broadcasts the remaining set until the group is
   * gone.
   */
  async clean(): Promise<void> {
    await Promise.allSettled(this.#before);
    const { supervision, log, roster, platform, bus } = this.#options;
    if (!bus.isGone) await this.#stopInOrder();
    const generation = this.#clear();
    if (bus.isGone) await platform.stop(roster.lost);
    if (generation === undefined || bus.isGone) return;
    const deadline = AbortSignal.timeout(supervision.leaseMs + PATIENCE_MS);
    const startedAt = performance.now();
    const elapsedMs = () => Math.round(performance.now() - startedAt);
    try {
      await this.#repeating({ generation, end: false }, async () => {
        await roster.until(() => roster.isTold(generation), deadline);
        const toldMs = elapsedMs();
        await roster.until(() => roster.isClean(generation), deadline);
        log.info({ agents: roster.nodes.length, toldMs, cleanMs: elapsedMs() }, 'cleanup');
      });
    } catch {
      log.error({ nodes: roster.unclean(generation) }, 'cleanup is not complete');
    }
  }

  /** Tells every agent to end, waits for their goodbyes, and lets the platform end the agents that do not. */
  async dismissAgents(): Promise<void> {
    const { roster, platform, bus } = this.#options;
    roster.admitNobody();
    const generation = this.#clear();
    const isGone = (node: string) => ['left', 'lost', 'expected'].includes(roster.stateOf(node) ?? 'left');
    if (generation !== undefined && !bus.isGone) {
      const deadline = AbortSignal.timeout(LEAVE_TIMEOUT_MS);
      await this.#repeating({ generation, end: true }, () =>
        roster.until(() => roster.nodes.every(isGone), deadline).catch(() => undefined),
      );
    }
    await platform.stop(roster.lost);
  }

  #clear(): Generation | undefined {
    const { bus, fleet } = this.#options;
    return bus.isOpen ? fleet.clear() : undefined;
  }

  async #stopInOrder(): Promise<void> {
    const { fleet, roster, bus } = this.#options;
    const running = fleet.wanted;
    const groups = STOP_ORDER.filter((roles) => running.some(({ role }) => roles.includes(role)));
    for (let first = 0; first + 1 < groups.length; first++) {
      const keep = groups.slice(first + 1).flat();
      const staying = new Map<string, number>();
      for (const spec of running.filter(({ role }) => keep.includes(role))) {
        const agent = fleet.agentOf(spec);
        staying.set(agent, (staying.get(agent) ?? 0) + 1);
      }
      const generation = this.#clear();
      if (generation === undefined || bus.isGone) return;
      const deadline = AbortSignal.timeout(STOP_GROUP_MS);
      const isGone = () => bus.isGone || roster.isClean(generation, (node) => staying.get(node) ?? 0);
      await this.#repeating({ generation, end: false, keep }, () =>
        roster.until(isGone, deadline).catch(() => undefined),
      );
    }
  }

  async #repeating(
    what: Pick<AllDesired, 'generation' | 'end' | 'keep'>,
    wait: () => Promise<void>,
  ): Promise<void> {
    const { epoch, subjects, bus, roster } = this.#options;
    const afterMs = Math.min(Math.round(roster.nodes.length * HEARD_MS), MOST_HEARD_MS);
    const message: AllDesired = { v: WIRE_VERSION, epoch, ...what, afterMs };
    const tell = () => bus.publish(subjects.allDesired, message);
    const repeat = setInterval(tell, REPEAT_MS);
    tell();
    try {
      await wait();
    } finally {
      clearInterval(repeat);
    }
  }
}
