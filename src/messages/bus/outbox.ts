import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type EventBody, type SrtEvent, WIRE_VERSION } from '../events/events.ts';
import { subjectsOf } from '../events/subjects.ts';
import type { Bus, EventOutbox } from './bus.ts';
import { fitMessage } from './fit.ts';

/**
 * Below the server's limit for a message (1 MiB), which includes the headers. A refused message would be
 * repeated for ever.
 */
const MOST_BYTES = 1_000_000;

interface Pending {
  readonly subject: string;
  readonly message: SrtEvent;
}

/**
 * Kept events of one source: numbered, dated, and sent in order, each repeatedly until the server has it on
 * disk. nats.js would lose messages without an error while disconnected.
 */
export function createOutbox(options: {
  bus: Pick<Bus, 'keep'>;
  job: string;
  source: string;
  /** First sequence number (after a restart: the one after the last sent event). */
  firstSeq?: number;
  now: () => Date;
  onStored?: (seq: number) => void;
  retryMs?: number;
}): EventOutbox {
  const { bus, source, now } = options;
  const subjects = subjectsOf(options.job);
  // The stream drops a message with a known id, so a guessable id could be used up by another client first.
  const author = randomUUID();
  const queue: Pending[] = [];
  let seq = (options.firstSeq ?? 1) - 1;
  let sending = false;
  let idle: (() => void)[] = [];

  async function pump(): Promise<void> {
    if (sending) return;
    sending = true;
    for (let head = queue[0]; head; head = queue[0]) {
      try {
        await bus.keep(head.subject, head.message, `${author}:${head.message.seq}`);
        queue.shift();
        options.onStored?.(head.message.seq);
      } catch {
        await sleep(options.retryMs ?? 100);
      }
    }
    sending = false;
    for (const resolve of idle) resolve();
    idle = [];
  }

  return {
    send(body: EventBody): void {
      seq++;
      const subject = subjects.kept(body.kind, body);
      const at = now().toISOString();
      const message = { ...body, v: WIRE_VERSION, at, source, seq } as SrtEvent;
      queue.push({ subject, message: fitMessage(message, MOST_BYTES) });
      void pump();
    },
    unsent: () => queue.map(({ message }) => message),
    flush(deadlineMs: number): Promise<boolean> {
      if (queue.length === 0) return Promise.resolve(true);
      return new Promise((resolve) => {
        const timer = setTimeout(() => resolve(false), deadlineMs);
        idle.push(() => {
          clearTimeout(timer);
          resolve(true);
        });
      });
    },
  };
}
