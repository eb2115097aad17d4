import { setTimeout as sleep } from 'node:timers/promises';
import type { Incoming } from '../messages/bus/bus.ts';
import type { CommandReply, LogReply, LogRequest } from '../messages/events/control.ts';
import { WIRE_VERSION } from '../messages/events/events.ts';
import { fromToken } from '../messages/events/subjects.ts';
import type { ProcessSpec } from '../messages/spec/process-spec.ts';
import { isSecretName } from '../messages/spec/secret-names.ts';
import { pieceFrom, tailOf } from '../os/log-tail.ts';
import type { ProcessTable } from './processes/process-table.ts';

/** How a process is started: its command, and its own environment without values of passwords and keys. */
function commandOf({ argv, cwd, env, gpus }: ProcessSpec): CommandReply {
  const shown = Object.entries(env).map(([name, value]) => [name, isSecretName(name) ? '(hidden)' : value]);
  return { v: WIRE_VERSION, ok: true, argv, cwd: cwd ?? null, env: Object.fromEntries(shown), gpus };
}

/** Answers with a part of a process's log, or with its command. When the log has no new text, waits as long as the request says. */
export async function answerLogRequest(
  { table, now }: { readonly table: ProcessTable; readonly now: () => number },
  { subject, message, respond }: Incoming<LogRequest>,
): Promise<void> {
  const id = fromToken(subject.split('.').at(-1) ?? '');
  const spec = table.specOf(id);
  if (!spec) {
    respond({ v: WIRE_VERSION, ok: false, reason: `${id} does not run on this node` } satisfies LogReply);
    return;
  }
  if (message.command) {
    respond(commandOf(spec));
    return;
  }
  const file = spec.logFile;
  try {
    const until = now() + (message.waitMs ?? 0);
    let piece =
      message.offset === undefined
        ? await tailOf(file, message.lines ?? 50)
        : await pieceFrom(file, message.offset);
    while (piece.text === '' && now() < until) {
      await sleep(200);
      piece = await pieceFrom(file, piece.offset);
    }
    const over = table.reports().every((report) => report.id !== id || report.exitCode !== null);
    respond({
      v: WIRE_VERSION,
      ok: true,
      text: piece.text,
      offset: piece.offset,
      file,
      over,
    } satisfies LogReply);
  } catch (error) {
    respond({ v: WIRE_VERSION, ok: false, reason: String(error) } satisfies LogReply);
  }
}
