import type { Bus } from '../../messages/bus/bus.ts';
import { type KillRequest, killReplySchema } from '../../messages/events/control.ts';
import { type EventBody, type SrtEvent, WIRE_VERSION } from '../../messages/events/events.ts';
import type { Subjects } from '../../messages/events/subjects.ts';
import type { WorkerKill } from '../../messages/job-directory/result.ts';
import { endpointId, workerId } from '../../model/worker-id.ts';
import type { SteadyClock } from '../../os/steady-clock.ts';
import type { Kill } from '../../recipe/schema/experiment.ts';

/** How long an agent may take to answer, ms, and how often it is asked. */
const ANSWER_MS = 2_000;
const TRIES = 3;

export interface KnownKill extends WorkerKill {
  readonly ordinal: number;
}

export interface KillsOptions {
  readonly bus: Pick<Bus, 'request'>;
  readonly subjects: Subjects;
  readonly fleet: {
    running(id: string): { readonly pid: number; readonly agent: string; readonly node: string } | undefined;
  };
  readonly record: { send(body: EventBody): void };
  readonly clock: Pick<SteadyClock, 'now' | 'date'>;
  readonly ordinal: number;
  readonly kills: readonly Kill[];
  /** Kills under the previous coordinator, of all points. */
  readonly killsBefore: readonly KnownKill[];
  /** When the attempt began. */
  readonly since: Date;
}

/** Has the workers of one attempt killed when the recipe's experiment says so. */
export class Kills {
  readonly #options: KillsOptions;
  readonly #done: WorkerKill[];

  constructor(options: KillsOptions) {
    const { ordinal, killsBefore, since } = options;
    this.#options = options;
    this.#done = killsBefore.flatMap(({ ordinal: of, ...kill }) =>
      of === ordinal && Date.parse(kill.at) >= since.getTime() ? [kill] : [],
    );
  }

  get done(): readonly WorkerKill[] {
    return this.#done;
  }

  /** A sentence for each kill that did not happen. */
  get missing(): string[] {
    const never = this.#left.map(
      (kill) => `${processOf(kill)} was to be killed after ${kill.at} s, and the measured window was shorter`,
    );
    const inVain = this.#done
      .filter(({ done }) => !done)
      .map(({ process, after }) => `${process} was to be killed after ${after} s, and did not run then`);
    return [...never, ...inVain];
  }

  /** The measured window began at `measuredSince`, ms since 1970. */
  begin(measuredSince: number, signal: AbortSignal): void {
    for (const kill of this.#left) {
      const wait = Math.max(measuredSince + kill.at * 1_000 - this.#options.clock.now(), 0);
      const timer = setTimeout(() => void this.#kill(kill), wait);
      signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
      this.#timers.push(timer);
    }
  }

  readonly #timers: NodeJS.Timeout[] = [];

  /** The measured window is over. */
  end(): void {
    for (const timer of this.#timers.splice(0)) clearTimeout(timer);
  }

  get #left(): Kill[] {
    return this.#options.kills.filter(
      (kill) => !this.#done.some(({ process, after }) => process === processOf(kill) && after === kill.at),
    );
  }

  async #kill(kill: Kill): Promise<void> {
    const { fleet, clock, record, ordinal } = this.#options;
    const process = processOf(kill);
    const running = fleet.running(process);
    const at = clock.date().toISOString();
    const done = running !== undefined && (await this.#ask(running, process, kill.signal));
    const told = { endpoint: endpointOf(kill), process, node: running?.node ?? '', signal: kill.signal };
    this.#done.push({ ...told, after: kill.at, at, done });
    record.send({ kind: 'worker.kill', ordinal, ...told, after: kill.at, done, killedAt: at });
  }

  /** A repeated request does no harm, because the pid has to be the same. */
  async #ask(
    { agent, pid }: { readonly agent: string; readonly pid: number },
    process: string,
    signal: Kill['signal'],
  ): Promise<boolean> {
    const { bus, subjects } = this.#options;
    const request: KillRequest = { v: WIRE_VERSION, process, pid, signal };
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const reply = await bus
        .request(subjects.kill(agent), request, killReplySchema, ANSWER_MS)
        .catch(() => null);
      // A process that is gone after a lost answer was killed by the request before.
      if (reply) return reply.done || attempt > 0;
    }
    return false;
  }
}

const endpointOf = ({ role, index }: Kill): string => endpointId({ mode: role, index });
const processOf = ({ role, index, rank }: Kill): string => workerId({ mode: role, index, rank });

/** All kills that a job's events name. */
export const killsIn = (events: readonly SrtEvent[]): KnownKill[] =>
  events.flatMap((event) => {
    if (event.kind !== 'worker.kill') return [];
    const { kind: _, v: __, at: ___, source: ____, seq: _____, killedAt: at, ...kill } = event;
    return [{ ...kill, at }];
  });
