import type * as z from 'zod';
import { type Bus, BusTimeout, type Incoming } from '../../src/messages/bus/bus.ts';

/** The fate of a message. */
export type Fate = 'lost' | 'twice' | 'late' | 'arrives';

interface Handler {
  readonly owner: string;
  readonly pattern: RegExp;
  take(subject: string, text: string, respond: (reply: unknown) => void): void;
}

const patternOf = (subject: string): RegExp =>
  new RegExp(`^${subject.replaceAll('.', '\\.').replaceAll('*', '[^.]+').replaceAll('>', '.+')}$`);

/** A bus within this process, on the test's clock. It loses, repeats and delays messages on request. */
export class SimulatedBus {
  readonly #handlers: Handler[] = [];
  readonly #listeners = new Map<string, (connected: boolean) => void>();
  readonly #cut = new Set<string>();
  readonly #sent: { from: string; subject: string; text: string }[] = [];
  readonly #fateOf: () => Fate;

  constructor(fateOf: () => Fate) {
    this.#fateOf = fateOf;
  }

  /** Disconnects a client, or reconnects it. */
  cut(name: string, off: boolean): void {
    if (off === this.#cut.has(name)) return;
    if (off) this.#cut.add(name);
    else this.#cut.delete(name);
    this.#listeners.get(name)?.(!off);
  }

  /** The client with this name receives nothing any more, and its messages are lost. */
  forget(name: string): void {
    for (let at = this.#handlers.length; at-- > 0; )
      if (this.#handlers[at]?.owner === name) this.#handlers.splice(at, 1);
  }

  /** An earlier message is delivered again. */
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
