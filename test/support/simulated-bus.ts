import type * as z from 'zod';
import { type Bus, BusTimeout, type Incoming } from '../../src/messages/bus/bus.ts';

/** What becomes of a message on its way. */
export type Fate = 'lost' | 'twice' | 'late' | 'arrives';

interface Handler {
  readonly owner: string;
  readonly pattern: RegExp;
  take(subject: string, text: string, respond: (reply: unknown) => void): void;
}

const patternOf = (subject: string): RegExp =>
  new RegExp(`^${subject.replaceAll('.', '\\.').replaceAll('*', '[^.]+').replaceAll('>', '.+')}$`);

/** A bus within this process, on whatever clock the test has, that loses, repeats and delays what it is told to. */
export class SimulatedBus {
  readonly #handlers: Handler[] = [];
  readonly #listeners = new Map<string, (connected: boolean) => void>();
  readonly #cut = new Set<string>();
  readonly #sent: { from: string; subject: string; text: string }[] = [];
  readonly #fateOf: () => Fate;

  constructor(fateOf: () => Fate) {
    this.#fateOf = fateOf;
  }

  /** Takes somebody off the bus, or lets them back on. */
  cut(name: string, off: boolean): void {
    if (off === this.#cut.has(name)) return;
    if (off) this.#cut.add(name);
    else this.#cut.delete(name);
    this.#listeners.get(name)?.(!off);
  }

  /** Whoever had this name is not heard and hears nothing any more. */
  forget(name: string): void {
    for (let at = this.#handlers.length; at-- > 0; )
      if (this.#handlers[at]?.owner === name) this.#handlers.splice(at, 1);
  }

  /** Something that was sent before comes once more. */
  replay(pick: number): void {
    const old = this.#sent[pick % Math.max(this.#sent.length, 1)];
    if (old) this.#deliver(old.from, old.subject, old.text, () => {});
  }

  as(name: string): Bus {
    return {
      status: { connected: true, malformed: 0, handlerErrors: 0 },
      onConnection: (listener) => void this.#listeners.set(name, listener),
      publish: (subject, message) => this.#send(name, subject, message, () => {}),
      request: <T>(subject: string, message: unknown, reply: z.ZodType<T>, timeoutMs: number): Promise<T> =>
        new Promise((resolve, reject) => {
          const timer = setTimeout(() => reject(new BusTimeout('no answer')), timeoutMs);
          this.#send(name, subject, message, (answer) => {
            clearTimeout(timer);
            resolve(reply.parse(answer));
          });
        }),
      subscribe: <T>(subject: string, schema: z.ZodType<T>, handle: (incoming: Incoming<T>) => void) => {
        const take: Handler['take'] = (at, text, respond) =>
          handle({ subject: at, message: schema.parse(JSON.parse(text)), respond });
        this.#handlers.push({ owner: name, pattern: patternOf(subject), take });
      },
      settled: async () => {},
      keep: async () => {},
      follow: () => ({ stop: () => {}, caughtUp: async () => {} }),
      close: async () => {},
    };
  }

  #send(from: string, subject: string, message: unknown, answered: (reply: unknown) => void): void {
    const text = JSON.stringify(message);
    this.#sent.push({ from, subject, text });
    this.#onItsWay(() => this.#deliver(from, subject, text, answered));
  }

  #deliver(from: string, subject: string, text: string, answered: (reply: unknown) => void): void {
    if (this.#cut.has(from)) return;
    for (const { owner, pattern, take } of [...this.#handlers]) {
      if (this.#cut.has(owner) || !pattern.test(subject)) continue;
      take(subject, text, (reply) => {
        const copy: unknown = JSON.parse(JSON.stringify(reply));
        this.#onItsWay(() => {
          if (!this.#cut.has(from) && !this.#cut.has(owner)) answered(copy);
        });
      });
    }
  }

  #onItsWay(arrive: () => void): void {
    const fate = this.#fateOf();
    if (fate === 'lost') return;
    setTimeout(arrive, fate === 'late' ? 700 : 1);
    if (fate === 'twice') setTimeout(arrive, 40);
  }
}
