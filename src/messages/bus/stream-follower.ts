import { setTimeout as sleep } from 'node:timers/promises';
import { type ConsumerMessages, DeliverPolicy, type NatsConnection } from 'nats';
import type { Follower } from './bus.ts';

/** An ordered consumer that starts again after the last handled message, as often as necessary. */
export class StreamFollower implements Follower {
  readonly #connection: NatsConnection;
  readonly #stream: string;
  readonly #deliver: (data: Uint8Array, seq: number, subject: string) => void;
  #next: number;
  #stopped = false;
  #round = 0;
  #messages: ConsumerMessages | undefined;
  #waiters: { seq: number; resolve: () => void }[] = [];

  constructor(
    connection: NatsConnection,
    stream: string,
    from: number,
    deliver: (data: Uint8Array, seq: number, subject: string) => void,
  ) {
    this.#connection = connection;
    this.#stream = stream;
    this.#next = Math.max(1, from);
    this.#deliver = deliver;
    void this.#run();
  }

  stop(): void {
    this.#stopped = true;
    this.#round++;
    this.#messages?.stop();
    for (const { resolve } of this.#waiters) resolve();
    this.#waiters = [];
  }

  /** After a reconnect the server may have forgotten the consumer. */
  renew(): void {
    if (this.#stopped) return;
    this.#messages?.stop();
    void this.#run();
  }

  async caughtUp(): Promise<void> {
    const manager = await this.#connection.jetstreamManager({ checkAPI: false });
    const last = (await manager.streams.info(this.#stream)).state.last_seq;
    if (this.#stopped || last < this.#next) return;
    await new Promise<void>((resolve) => this.#waiters.push({ seq: last, resolve }));
  }

  async #run(): Promise<void> {
    const round = ++this.#round;
    while (!this.#stopped && round === this.#round && !this.#connection.isClosed()) {
      try {
        const consumer = await this.#connection.jetstream({ timeout: 3_000 }).consumers.get(this.#stream, {
          deliver_policy: DeliverPolicy.StartSequence,
          opt_start_seq: this.#next,
        });
        const messages = await consumer.consume({
          max_messages: 256,
          idle_heartbeat: 2_000,
          expires: 10_000,
        });
        if (this.#stopped || round !== this.#round) {
          messages.stop();
          return;
        }
        this.#messages = messages;
        for await (const message of messages) {
          if (this.#stopped || round !== this.#round) return;
          if (message.seq < this.#next) continue;
          this.#next = message.seq + 1;
          this.#deliver(message.data, message.seq, message.subject);
          this.#wake(message.seq);
        }
      } catch {
        // The bus is away or the stream does not exist yet; the connection's reconnect restores it.
      }
      await sleep(100);
    }
  }

  #wake(seq: number): void {
    if (this.#waiters.length === 0) return;
    for (const waiter of this.#waiters) if (waiter.seq <= seq) waiter.resolve();
    this.#waiters = this.#waiters.filter((waiter) => waiter.seq > seq);
  }
}
