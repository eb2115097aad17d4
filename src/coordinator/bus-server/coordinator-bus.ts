import type { Logger } from 'pino';
import * as z from 'zod';
import type { Bus, EventOutbox } from '../../messages/bus/bus.ts';
import { connectBus, inboxOf } from '../../messages/bus/nats-bus.ts';
import { createOutbox } from '../../messages/bus/outbox.ts';
import type { SrtEvent } from '../../messages/events/events.ts';
import { SYSTEM_DISCONNECT } from '../../messages/events/subjects.ts';
import type { SteadyClock } from '../../os/steady-clock.ts';
import { Journal } from '../record/journal.ts';
import type { JobKeys } from './keys.ts';
import { createStream } from './stream.ts';

/** While the job starts nats-server may have to be started again, as at any time. */
const PATIENCE_MS = 15_000;

export interface ChannelOptions {
  readonly url: string;
  readonly jobId: string;
  readonly keys: JobKeys;
  readonly epoch: number;
  readonly clock: SteadyClock;
  /** events.jsonl, and the first message of the stream that may not be in it. */
  readonly eventsFile: string;
  readonly eventsFrom: number;
  /** Asked before anything is written. */
  readonly mayWrite: () => void;
  readonly log: Logger;
  /** Each kept event, which need not be in the file yet. */
  readonly onEvent: (event: SrtEvent) => void;
  readonly onDenied: (error: Error) => void;
  /** The job is to end before it has begun. */
  readonly signal: AbortSignal;
}

/** The coordinator's own ways to the bus: its connection, the stream, what it says there, and the file of events. */
export interface Channel {
  readonly bus: Bus;
  readonly outbox: EventOutbox;
  readonly journal: Journal;
  /** Tells of each connection that the server saw end: `name` as the client gave it. */
  watchDisconnects(tell: (name: string, reason: string) => void): Promise<void>;
  /** All that is said reaches the file first, within `deadlineMs`. */
  close(deadlineMs: number): Promise<void>;
  /** After `close`, which needs the bus still. */
  disconnect(): Promise<void>;
}

const disconnectSchema = z.object({
  client: z.object({ name: z.string().optional(), user: z.string().optional() }),
  reason: z.string().optional(),
});

export async function openChannel(options: ChannelOptions): Promise<Channel> {
  const { url, jobId, keys, epoch, log } = options;
  const connection = {
    url,
    ca: keys.tls?.ca,
    job: jobId,
    patienceMs: PATIENCE_MS,
    signal: options.signal,
    log: (text: string, detail: unknown) => log.warn({ detail }, text),
  };
  const bus = await connectBus({
    ...connection,
    seed: keys.coordinator.seed,
    name: `coordinator ${epoch}`,
    inbox: inboxOf('coordinator'),
    onDenied: options.onDenied,
  });
  await createStream({ ...connection, jobId, seed: keys.coordinator.seed });
  const outbox = createOutbox({
    bus,
    job: jobId,
    source: `coordinator:${epoch}`,
    now: () => options.clock.date(),
  });
  const journal = new Journal(bus, options.eventsFile, options.eventsFrom, options.onEvent, options.mayWrite);
  let systemBus: Bus | undefined;
  return {
    bus,
    outbox,
    journal,
    async watchDisconnects(tell): Promise<void> {
      systemBus = await connectBus({
        ...connection,
        seed: keys.system.seed,
        name: 'coordinator (system)',
        inbox: inboxOf('system'),
      });
      systemBus.subscribe(SYSTEM_DISCONNECT, disconnectSchema, ({ message }) => {
        const { name, user } = message.client;
        // Anybody may call himself what he likes; the key says whose connection it was.
        const isOwn = [...keys.agents].some(
          ([node, { publicKey }]) => publicKey === user && name?.startsWith(`agent ${node} `),
        );
        if (name && isOwn) tell(name, message.reason ?? 'connection closed');
      });
      await Promise.all([bus.settled(), systemBus.settled()]);
    },
    async close(deadlineMs): Promise<void> {
      await outbox.flush(deadlineMs);
      await journal.close(deadlineMs, outbox.unsent());
    },
    async disconnect(): Promise<void> {
      await systemBus?.close(500);
      await bus.close(1_000);
    },
  };
}
