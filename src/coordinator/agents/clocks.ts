import type { Logger } from 'pino';
import type { Bus } from '../../messages/bus/bus.ts';
import { type ClockReply, clockReplySchema } from '../../messages/events/control.ts';
import { type ClockOffset, type EventBody, WIRE_VERSION } from '../../messages/events/events.ts';
import type { Subjects } from '../../messages/events/subjects.ts';
import { atATime } from '../../os/at-a-time.ts';
import type { SteadyClock } from '../../os/steady-clock.ts';
import type { Roster } from './roster.ts';

/** Questions to one agent. The answer with the shortest round trip is the most precise one. */
const SAMPLES = 5;
const ANSWER_MS = 1_000;
/** Clocks drift by some ms in an hour. */
const AGAIN_MS = 300_000;
/** Agents that are asked at the same time. */
const PARALLEL = 8;
/** A smaller change, ms, makes no event. The error of both measurements is added to it. */
const CHANGE_MS = 20;

/** How far an agent's clock is ahead of the coordinator's, and by how much that may be wrong. */
export type Offset = Pick<ClockOffset, 'offsetMs' | 'errorMs'>;

/** One question and its answer: when it was asked and answered by our clock, ms, and the time of the other clock. */
export interface ClockSample {
  readonly askedAt: number;
  readonly answeredAt: number;
  readonly at: number;
}

/**
 * The offset by the sample with the shortest round trip. The other clock was read between question and answer, so the
 * middle is wrong by at most half of the round trip.
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
  readonly roster: Pick<Roster, 'nodes' | 'stateOf'>;
  readonly record: { send(body: EventBody): void };
  readonly log: Pick<Logger, 'debug'>;
}

/**
 * Measures how far the clock of each agent is from the coordinator's, when the agent says hello and every few minutes.
 * Sends the offset as an event, by which `srtctl why` orders the events of several nodes.
 */
export class Clocks {
  readonly #options: ClocksOptions;
  #timer: NodeJS.Timeout | undefined;
  /** The last event, by agent and incarnation. */
  readonly #told = new Map<string, Offset>();
  #waiting = new Set<string>();
  #measuring = false;
  #closed = false;

  constructor(options: ClocksOptions) {
    this.#options = options;
  }

  /** Measures all agents again from time to time. */
  begin(): void {
    const { roster } = this.#options;
    this.#timer = setInterval(() => {
      for (const agent of roster.nodes) if (roster.stateOf(agent) === 'joined') this.measure(agent);
    }, AGAIN_MS);
    this.#timer.unref();
  }

  /** Measures in the background. An agent that does not answer is asked again later. */
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
        // A new agent has replaced the first one meanwhile.
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
    this.#options.record.send({ kind: 'clock.offset', node: agent, of: source, ...found });
  }

  async #ask(agent: string): Promise<ClockSample & { reply: ClockReply }> {
    const { bus, subjects, clock } = this.#options;
    const askedAt = clock.now();
    const reply = await bus.request(subjects.clock(agent), { v: WIRE_VERSION }, clockReplySchema, ANSWER_MS);
    return { askedAt, answeredAt: clock.now(), at: reply.at, reply };
  }
}
