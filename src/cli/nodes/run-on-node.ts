import { randomUUID } from 'node:crypto';
import type * as z from 'zod';
import { type Bus, BusTimeout } from '../../messages/bus/bus.ts';
import { WIRE_VERSION } from '../../messages/events/events.ts';
import {
  type ExecEnd,
  type ExecPiece,
  type ExecRequest,
  execReplySchema,
} from '../../messages/events/exec.ts';
import { EXIT, SrtctlError } from '../../os/errors.ts';

/** How long the agent may wait for more output before it answers with none, ms. */
const WAIT_MS = 2_000;
const ANSWER_MS = 3_000;
/** While output waits for its reader (a pager), the agent hears that someone is there. */
const STILL_HERE_MS = 5_000;
/** How long an agent may be silent, ms; less than it takes to end a command whose output is not read. */
const SILENT_MS = 12_000;

export interface NodeCommand {
  /** The subject on which the agent takes requests. */
  readonly subject: string;
  readonly node: string;
  /** The process whose environment the command has; null: that of the agent. */
  readonly process: string | null;
  readonly argv: readonly string[];
  /** Who asks. */
  readonly by: string;
  readonly limitMs: number;
  /** Aborted when the command shall end. */
  readonly signal?: AbortSignal;
  readonly onOutput: (stream: ExecPiece['stream'], data: Buffer) => void | Promise<void>;
}

/**
 * Runs a command on a node through its agent, and hands its output on as it comes.
 * @throws SrtctlError when the agent refuses it, or does not answer
 */
export async function runOnNode(bus: Bus, command: NodeCommand): Promise<ExecEnd> {
  const { process, argv, by, limitMs, signal, onOutput } = command;
  const ask = asker(bus, command, randomUUID());
  const start: Asked = { do: 'start', process, argv: [...argv], by, limitMs };
  let reply = await ask(start);
  const stop = (): void => void ask({ do: 'stop' }).catch(() => undefined);
  if (signal?.aborted) stop();
  signal?.addEventListener('abort', stop, { once: true });
  let last = 0;
  const stillHere = setInterval(
    () => void ask({ do: 'read', after: last, waitMs: 0 }).catch(() => undefined),
    STILL_HERE_MS,
  );
  try {
    for (;;) {
      for (const { number, stream, data } of reply.pieces) {
        // An answer that was lost comes again.
        if (number <= last) continue;
        await onOutput(stream, Buffer.from(data, 'base64'));
        last = number;
      }
      if (reply.end) return reply.end;
      reply = await ask({ do: 'read', after: last, waitMs: WAIT_MS });
    }
  } finally {
    clearInterval(stillHere);
    signal?.removeEventListener('abort', stop);
  }
}

type Asked<T = ExecRequest> = T extends unknown ? Omit<T, 'v' | 'id'> : never;
type Answer = Extract<z.infer<typeof execReplySchema>, { ok: true }>;

/** Repeats a request without an answer; each may be repeated without harm. */
function asker(bus: Bus, { subject, node }: NodeCommand, id: string): (request: Asked) => Promise<Answer> {
  return async (request) => {
    const until = performance.now() + SILENT_MS;
    for (;;) {
      try {
        const message = { v: WIRE_VERSION, id, ...request };
        const reply = await bus.request(subject, message, execReplySchema, WAIT_MS + ANSWER_MS);
        if (reply.ok) return reply;
        throw new SrtctlError('exec-refused', `${node}: ${reply.reason}`, { exitCode: EXIT.failed });
      } catch (error) {
        if (error instanceof SrtctlError) throw error;
        if (error instanceof BusTimeout && performance.now() < until) continue;
        throw new SrtctlError('exec-failed', `the agent on ${node} does not answer`, {
          exitCode: EXIT.failed,
          hint: 'it has ended, or is of a release without exec',
          cause: error,
        });
      }
    }
  };
}
