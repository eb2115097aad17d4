import type * as z from 'zod';
import { type Bus, BusTimeout, type Incoming } from '../../src/messages/bus/bus.ts';
import type { SrtEvent } from '../../src/messages/events/events.ts';

type Handler = (subject: string, text: string, respond: (text: string) => void) => void;

/** State that all clients of a lossy bus share. */
export class LossyNetwork {
  readonly #random: () => number;
  readonly #handlers: { pattern: RegExp; handle: Handler }[] = [];
  readonly #ids = new Set<string>();
  readonly kept: SrtEvent[] = [];
  lossy = true;

  constructor(random: () => number) {
    this.#random = random;
  }

  #chance(part: number): boolean {
    return this.lossy && this.#random() < part;
  }

  /** Delivers a message never, once, twice, late or out of order. */
  send(deliver: () => void): void {
    if (this.#chance(0.3)) return;
    const copies = this.#chance(0.2) ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) setTimeout(deliver, this.lossy ? this.#random() * 8 : 0);
  }

  subscribe(subject: string, handle: Handler): void {
    const pattern = new RegExp(`^${subject.replaceAll('.', '\\.').replaceAll('*', '[^.]+')}$`);
    this.#handlers.push({ pattern, handle });
  }

  publish(subject: string, text: string, respond: (text: string) => void = () => undefined): void {
    for (const { pattern, handle } of this.#handlers)
      if (pattern.test(subject)) this.send(() => handle(subject, text, respond));
  }

  /** As JetStream does: acknowledges a message with a known id and does not store it again. */
  keep(event: SrtEvent, id: string): boolean {
    if (this.#chance(0.2)) return false;
    if (!this.#ids.has(id)) {
      this.#ids.add(id);
      this.kept.push(event);
    }
    return !this.#chance(0.2);
  }
}

const REQUEST_MS = 15;

/** One client's view of it. */
export function lossyBus(network: LossyNetwork): Bus {
  return {
    status: { connected: true, malformed: 0, handlerErrors: 0 },
    onConnection: () => undefined,
    publish: (subject, message) => network.publish(subject, JSON.stringify(message)),
    request: <T>(subject: string, message: unknown, reply: z.ZodType<T>) =>
      new Promise<T>((resolve, reject) => {
        setTimeout(() => reject(new BusTimeout(`no answer on ${subject}`)), REQUEST_MS);
        network.publish(subject, JSON.stringify(message), (text) =>
          network.send(() => resolve(reply.parse(JSON.parse(text)))),
        );
      }),
    subscribe: <T>(subject: string, schema: z.ZodType<T>, handle: (incoming: Incoming<T>) => void) =>
      network.subscribe(subject, (on, text, respond) =>
        handle({
          subject: on,
          message: schema.parse(JSON.parse(text)),
          respond: (reply) => respond(JSON.stringify(reply)),
        }),
      ),
    settled: async () => undefined,
    async keep(_, message, id) {
      if (!network.keep(message as SrtEvent, id)) throw new BusTimeout('not kept');
    },
    follow: () => ({ stop: () => undefined, caughtUp: async () => undefined }),
    close: async () => undefined,
  };
}
