import type { Logger } from 'pino';
import * as z from 'zod';
import type { Post } from '../../machines/addresses.ts';
import {
  type Bus,
  BusError,
  type BusStatus,
  type EventOutbox,
  type Incoming,
} from '../../messages/bus/bus.ts';
import { connectBus, inboxOf } from '../../messages/bus/nats-bus.ts';
import { createOutbox } from '../../messages/bus/outbox.ts';
import type { EventBody, SrtEvent } from '../../messages/events/events.ts';
import { SYSTEM_DISCONNECT } from '../../messages/events/subjects.ts';
import type { Epoch } from '../../messages/spec/counters.ts';
import type { SteadyClock } from '../../os/steady-clock.ts';
import { Journal } from '../record/journal.ts';
import type { EpochLock } from '../takeover/epoch-lock.ts';
import type { JobKeys } from './keys.ts';
import { createStreams } from './stream.ts';

/** While the job starts, nats-server may have to be started again, as at any time. */
const PATIENCE_MS = 15_000;

export interface CoordinatorBusOptions {
  readonly nats: { readonly url: string };
  readonly jobId: string;
  readonly keys: JobKeys;
  readonly epoch: Epoch;
  readonly clock: SteadyClock;
  /** events.jsonl, and the first message of the stream that may be missing in it. */
  readonly eventsFile: string;
  readonly eventsFrom: number;
  readonly epochLock: EpochLock;
  readonly post: Pick<Post, 'tell'>;
  readonly log: Logger;
}

interface Connection {
  readonly bus: Bus;
  readonly outbox: EventOutbox;
  readonly journal: Journal;
}

const disconnectSchema = z.object({
  client: z.object({ name: z.string().optional(), user: z.string().optional() }),
  reason: z.string().optional(),
});

/**
 * The coordinator's bus: its connection, the outbox, and the journal, which writes the stream of events into a file.
 * Before the bus is open, published messages are lost and requests fail.
 */
export class CoordinatorBus implements Pick<Bus, 'status' | 'publish' | 'request' | 'subscribe'> {
  readonly #options: CoordinatorBusOptions;
  #open: Connection | undefined;
  #systemBus: Bus | undefined;
  #isGone = false;

  constructor(options: CoordinatorBusOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#open !== undefined;
  }

  /** true when nats-server has ended for good: no agent can be reached any more. */
  get isGone(): boolean {
    return this.#isGone;
  }

  gone(why: string): void {
    this.#isGone = true;
    this.#options.post.tell('sweep', {
      type: 'sweep.crippled',
      cause: { summary: `the bus is gone: ${why}` },
    });
  }

  /** `signal`: the job ends before it has begun. */
  async open(signal: AbortSignal): Promise<void> {
    const { jobId, keys, epoch, clock, eventsFile, eventsFrom, epochLock, post } = this.#options;
    const bus = await connectBus({
      ...this.#connection(signal),
      seed: keys.coordinator.seed,
      name: `coordinator ${epoch}`,
      inbox: inboxOf('coordinator'),
      onDenied: (error) => {
        const summary = `the bus refused the coordinator: ${error.message}`;
        post.tell('sweep', { type: 'sweep.crippled', cause: { summary } });
      },
    });
    await createStreams(keys, { ...this.#connection(signal), jobId });
    this.#open = {
      bus,
      outbox: createOutbox({ bus, job: jobId, source: `coordinator:${epoch}`, now: () => clock.date() }),
      journal: new Journal(
        bus,
        eventsFile,
        eventsFrom,
        (event) => this.#heard(event),
        () => epochLock.check(),
      ),
    };
  }

  #connection(signal: AbortSignal) {
    const { nats, keys, jobId, log } = this.#options;
    return {
      url: nats.url,
      ca: keys.tls?.ca,
      job: jobId,
      patienceMs: PATIENCE_MS,
      signal,
      log: (text: string, detail: unknown) => log.warn({ detail }, text),
    };
  }

  /** A kept event, which need not be in the file yet. */
  #heard(event: SrtEvent): void {
    const { post } = this.#options;
    if (event.kind === 'clock.offset') post.tell('record', { type: 'clock.measured', offset: event });
    if (event.kind !== 'process.transition') return;
    const { node, process: id, to: state, pid, generation, why, exitCode, signal } = event;
    const report = {
      ...{ id, state, pid, generation, why, exitCode, signal },
      ...(event.from === 'stopping' ? { stopped: true as const } : {}),
    };
    post.tell('fleet', { type: 'process.moved', node, report });
  }

  get status(): BusStatus {
    return this.#open?.bus.status ?? { connected: false, malformed: 0, handlerErrors: 0 };
  }

  /** An event that the stream keeps. */
  send(body: EventBody): void {
    this.#open?.outbox.send(body);
  }

  publish(subject: string, message: unknown): void {
    this.#open?.bus.publish(subject, message);
  }

  async request<T>(subject: string, message: unknown, reply: z.ZodType<T>, timeoutMs: number): Promise<T> {
    if (!this.#open) throw new BusError('the bus is not open');
    return this.#open.bus.request(subject, message, reply, timeoutMs);
  }

  subscribe<T>(subject: string, schema: z.ZodType<T>, handle: (incoming: Incoming<T>) => void): void {
    if (!this.#open) throw new BusError('the bus is not open');
    this.#open.bus.subscribe(subject, schema, handle);
  }

  /** The last message of the stream that is in events.jsonl. */
  get streamSeq(): number | undefined {
    return this.#open?.journal.streamSeq;
  }

  /** Resolves when all events so far are in events.jsonl. */
  async eventsWritten(): Promise<void> {
    await this.#open?.journal.written();
  }

  /**
   * Reports to the roster each agent's connection that the server saw end. Resolves when every subscription is in
   * place.
   */
  async watchDisconnects(
    roster: { disconnected(name: string, reason: string): void },
    signal: AbortSignal,
  ): Promise<void> {
    const { keys } = this.#options;
    const systemBus = await connectBus({
      ...this.#connection(signal),
      seed: keys.system.seed,
      name: 'coordinator (system)',
      inbox: inboxOf('system'),
    });
    this.#systemBus = systemBus;
    systemBus.subscribe(SYSTEM_DISCONNECT, disconnectSchema, ({ message }) => {
      const { name, user } = message.client;
      // A client chooses its own name; its key shows whose connection it was.
      const isOwn = [...keys.agents].some(
        ([node, { publicKey }]) => publicKey === user && name?.startsWith(`agent ${node} `),
      );
      if (name && isOwn) roster.disconnected(name, message.reason ?? 'connection closed');
    });
    await Promise.all([this.#open?.bus.settled(), systemBus.settled()]);
  }

  /** All events so far reach the file, within `deadlineMs`. */
  async close(deadlineMs: number): Promise<void> {
    if (!this.#open) return;
    const { outbox, journal } = this.#open;
    await outbox.flush(deadlineMs);
    await journal.close(deadlineMs, outbox.unsent());
  }

  /** To be called after `close`, which needs the bus. */
  async disconnect(): Promise<void> {
    await this.#systemBus?.close(500);
    await this.#open?.bus.close(1_000);
  }
}
