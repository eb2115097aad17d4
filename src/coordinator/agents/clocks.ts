import type { Logger } from 'pino';
import type { Bus } from '../../messages/bus/bus.ts';
import { type ClockReply, clockReplySchema } from '../../messages/events/control.ts';
import { type ClockOffset, type EventBody, WIRE_VERSION } from '../../messages/events/events.ts';
import type { Subjects } from '../../messages/events/subjects.ts';
import { atATime } from '../../os/at-a-time.ts';
import type { SteadyClock } from '../../os/steady-clock.ts';

/** Questions to one agent: the answer that was back soonest is the one that tells most. */
const SAMPLES = 5;
const ANSWER_MS = 1_000;
/** Clocks drift by some ms in an hour. */
const AGAIN_MS = 300_000;
/** Agents that are asked at the same time. */
const PARALLEL = 8;
/** What changes less, ms, is not worth an event: the error of both measurements comes on top. */
const CHANGE_MS = 20;

/** How far an agent's clock is ahead of the coordinator's, and by how much that may be wrong. */
export type Offset = Pick<ClockOffset, 'offsetMs' | 'errorMs'>;

/** One question and its answer: when it was asked and answered by our clock, ms, and what the other clock said meanwhile. */
export interface ClockSample {
  readonly askedAt: number;
  readonly answeredAt: number;
  readonly at: number;
}

/**
 * The offset by the sample with the shortest round trip. The other clock was read somewhere between question and answer:
 * the middle is wrong by half of the round trip at most, whichever way took longer.
 */
export function offsetOf(samples: readonly ClockSample[]): Offset | undefined {
  const tripOf = ({ askedAt, answeredAt }: ClockSample) => answeredAt - askedAt;
  const [best] = [...samples].sort((a, b) => tripOf(a) - tripOf(b));
  if (!best) return undefined;
  const round = (ms: number) => Math.round(ms * 1_000) / 1_000;
  return {
    offsetMs: round(best.at - (best.askedAt + best.answeredAt) / 2),
    errorMs: round(tripOf(best) / 2),
  };
}

export interface ClocksOptions {
  readonly bus: Pick<Bus, 'request'>;
  readonly subjects: Subjects;
  readonly clock: SteadyClock;
  /** Agents that answer now. */
  readonly joined: () => readonly string[];
  readonly send: (body: EventBody) => void;
  readonly log: Pick<Logger, 'debug'>;
}

/**
 * Measures how far the clock of each agent is from the coordinator's, when the agent says hello and every few minutes,
 * and tells it as an event: `srtctl why` orders by it what happened on several nodes.
 */
export class Clocks {
  readonly #options: ClocksOptions;
  readonly #timer: NodeJS.Timeout;
  /** By agent and incarnation: what was told last. */
  readonly #told = new Map<string, Offset>();
  #waiting = new Set<string>();
  #measuring = false;
  #closed = false;

  constructor(options: ClocksOptions) {
    this.#options = options;
    this.#timer = setInterval(() => {
      for (const agent of options.joined()) this.measure(agent);
    }, AGAIN_MS);
    this.#timer.unref();
  }

  /** Soon, and beside everything else: an agent that does not answer has its turn again later. */
  measure(agent: string): void {
    this.#waiting.add(agent);
    if (!this.#measuring) void this.#measureAll();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#timer);
  }

  async #measureAll(): Promise<void> {
    this.#measuring = true;
    while (this.#waiting.size > 0 && !this.#closed) {
      const agents = [...this.#waiting];
      this.#waiting = new Set();
      await atATime(PARALLEL, agents, (agent) => this.#measure(agent));
    }
    this.#measuring = false;
  }

  async #measure(agent: string): Promise<void> {
    const samples: ClockSample[] = [];
    let source: string | undefined;
    try {
      for (let count = 0; count < SAMPLES && !this.#closed; count++) {
        const { reply, ...sample } = await this.#ask(agent);
        // Another agent has taken its place meanwhile.
        if (source !== undefined && source !== reply.source) return;
        source = reply.source;
        samples.push(sample);
      }
    } catch (error) {
      this.#options.log.debug({ agent, error: String(error) }, 'the clock of an agent was not told');
    }
    const found = offsetOf(samples);
    if (!found || source === undefined || this.#closed) return;
    const before = this.#told.get(source);
    const isNews =
      before === undefined ||
      Math.abs(found.offsetMs - before.offsetMs) > CHANGE_MS + found.errorMs + before.errorMs;
    if (!isNews) return;
    this.#told.set(source, found);
    this.#options.send({ kind: 'clock.offset', node: agent, of: source, ...found });
  }

  async #ask(agent: string): Promise<ClockSample & { reply: ClockReply }> {
    const { bus, subjects, clock } = this.#options;
    const askedAt = clock.now();
    const reply = await bus.request(subjects.clock(agent), { v: WIRE_VERSION }, clockReplySchema, ANSWER_MS);
    return { askedAt, answeredAt: clock.now(), at: reply.at, reply };
  }
}
