import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '../../messages/bus/bus.ts';
import { type LogRequest, logReplySchema } from '../../messages/events/control.ts';
import { WIRE_VERSION } from '../../messages/events/events.ts';
import { subjectsOf } from '../../messages/events/subjects.ts';
import { type LogPiece, pieceFrom, tailOf } from '../../os/log-tail.ts';
import type { JobOnDisk } from './job-dir.ts';

/** How long an agent may wait for new text before it answers with none. */
const WAIT_MS = 2_000;
/** Polling interval of a file. */
const LOOK_AGAIN_MS = 200;
/** The limit of one request (messages/events/control.ts). */
const MOST_LINES = 10_000;

/** A log, and the agent that runs its process; null where the log is only a file. */
interface LogFile {
  readonly process: string;
  readonly agent: string | null;
  readonly file: string;
}

interface LogReader {
  tail(lines: number): Promise<LogPiece>;
  /** The text after an offset; waits a while when there is none yet. */
  from(offset: number): Promise<LogPiece>;
  close(): Promise<void>;
}

/**
 * Reads through the process's agent while the job runs (the file may exist only on that node), else from the
 * file.
 */
export async function readLog(job: JobOnDisk, log: LogFile): Promise<LogReader> {
  const file = fileReader(log.file);
  if (log.agent === null) return file;
  const { connectOperator } = await import('./operator-bus.ts');
  const bus = await connectOperator(job, 'logs');
  if (!bus) return file;
  const ask = askerOf(bus, subjectsOf(job.jobId).log(log.agent, log.process));
  return {
    tail: async (lines) => (await ask({ lines: Math.min(lines, MOST_LINES) })) ?? file.tail(lines),
    from: async (offset) => (await ask({ offset, waitMs: WAIT_MS })) ?? file.from(offset),
    close: () => bus.close(500),
  };
}

function fileReader(file: string): LogReader {
  return {
    tail: (lines) => tailOf(file, lines).catch(() => ({ text: '', offset: 0 })),
    async from(offset) {
      const piece = await pieceFrom(file, offset).catch(() => ({ text: '', offset }));
      if (piece.text === '') await sleep(LOOK_AGAIN_MS);
      return piece;
    },
    close: async () => undefined,
  };
}

/**
 * Sends requests to an agent; undefined when it does not answer, at once when the bus is away (a request
 * would only time out).
 */
export function askerOf(
  bus: Bus,
  subject: string,
): (request: Omit<LogRequest, 'v'>) => Promise<LogPiece | undefined> {
  let isAway = (): void => {};
  let away = new Promise<undefined>((resolve) => {
    isAway = () => resolve(undefined);
  });
  bus.onConnection((connected) => {
    if (!connected) isAway();
    else
      away = new Promise((resolve) => {
        isAway = () => resolve(undefined);
      });
  });
  return async (request) => {
    if (!bus.status.connected) return undefined;
    const asked = bus
      .request(subject, { v: WIRE_VERSION, ...request }, logReplySchema, WAIT_MS + 1_000)
      .catch(() => undefined);
    const reply = await Promise.race([asked, away]);
    return reply?.ok ? { text: reply.text, offset: reply.offset } : undefined;
  };
}
