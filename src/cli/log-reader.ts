import { type LogPiece, pieceFrom, tailOf } from '../log-tail.ts';
import { logReplySchema } from '../messages/control.ts';
import { connectBus, inboxOf } from '../messages/nats-bus.ts';
import { subjectsOf } from '../messages/subjects.ts';
import { type JobOnDisk, readConnection } from './job-dir.ts';
import type { LogFile } from './log-files.ts';

/** How long an agent may wait for more before it answers with nothing. */
const WAIT_MS = 2_000;

export interface LogReader {
  tail(lines: number): Promise<LogPiece>;
  /** What follows an offset; waits a while when there is nothing yet. */
  from(offset: number): Promise<LogPiece>;
  close(): Promise<void>;
}

/** Reads through the process's agent while the job runs (its file may be on that node alone), else from the file. */
export async function readLog(job: JobOnDisk, log: LogFile): Promise<LogReader> {
  const file: LogReader = {
    tail: (lines) => tailOf(log.file, lines).catch(() => ({ text: '', offset: 0 })),
    async from(offset) {
      const piece = await pieceFrom(log.file, offset).catch(() => ({ text: '', offset }));
      if (piece.text === '') await new Promise((resolve) => setTimeout(resolve, 200));
      return piece;
    },
    close: async () => undefined,
  };
  const connection = log.node === null ? undefined : await readConnection(job);
  if (!connection || log.node === null) return file;
  const { node } = log;
  const bus = await connectBus({
    url: connection.url,
    seed: connection.operatorSeed,
    job: job.jobId,
    name: 'logs',
    inbox: inboxOf('operator'),
  }).catch(() => undefined);
  if (!bus) return file;
  const ask = async (request: object): Promise<LogPiece | undefined> => {
    const subject = subjectsOf(job.jobId).log(node, log.process);
    const reply = await bus
      .request(subject, { v: 1, ...request }, logReplySchema, WAIT_MS + 3_000)
      .catch(() => undefined);
    return reply?.ok ? { text: reply.text, offset: reply.offset } : undefined;
  };
  return {
    tail: async (lines) => (await ask({ lines })) ?? file.tail(lines),
    from: async (offset) => (await ask({ offset, waitMs: WAIT_MS })) ?? file.from(offset),
    close: () => bus.close(500),
  };
}
