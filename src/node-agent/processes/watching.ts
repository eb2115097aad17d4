import { LinearPattern } from '../../messages/spec/linear-pattern.ts';
import { hasEnded } from '../../messages/spec/states.ts';
import { type WhoAnswers, whoAnswers } from '../ports/who-answers.ts';
import { watchForFatalLine } from '../watch/fatal-watch.ts';
import { watchProgress } from '../watch/hang-watch.ts';
import { stacksOf } from '../watch/stacks.ts';
import { soughtOf } from './ending.ts';
import type { Entry, TableOptions } from './entry.ts';

/** Runs while the process is ready, until it is stopped or has ended. */
export function watch(options: TableOptions, entry: Entry): void {
  const { spec, state, group } = entry;
  if (state === 'ready' && !entry.unwatch && spec.progress && group !== null) {
    entry.unwatch = watchProgress({
      progress: spec.progress,
      group,
      onHung: (says) => void endHung(options, entry, says),
    });
  } else if (state === 'stopping' || hasEnded(state)) entry.unwatch?.();
}

/** Runs from the start of the process until it is stopped or has ended. `from`: byte of its log. */
export function watchLog(entry: Entry, from = entry.logFrom): void {
  const { logFile: file, fatalLines = [], fatalPatterns = [] } = entry.spec;
  const lines = [...fatalLines, ...fatalPatterns.map((pattern) => new LinearPattern(pattern))];
  entry.unwatchLog?.();
  entry.unwatchLog =
    lines.length === 0 || entry.state === 'stopping'
      ? undefined
      : watchForFatalLine({
          ...{ file, from, lines },
          onLine: (line) => entry.actor.send({ type: 'log.fatal', line }),
        });
}

/** Reports the hang, records what the process is doing, and then ends it. */
async function endHung(options: TableOptions, entry: Entry, says: string): Promise<void> {
  const { spec } = entry;
  entry.actor.send({ type: 'hang.suspected', detail: says });
  let detail = says;
  try {
    const env = { ...options.environment, ...spec.env };
    const file = await stacksOf(soughtOf(options, entry), spec.logFile, env);
    if (file !== undefined) detail += `; stacks in ${file}`;
  } catch (error) {
    options.onDefect(`stacks of ${spec.id}`, error);
  }
  if (!hasEnded(entry.state)) entry.actor.send({ type: 'hang.detected', detail });
}

export function whoAnswersFor(
  options: TableOptions,
  entry: Entry | undefined,
  host: string,
  port: number,
): Promise<WhoAnswers> {
  if (entry?.group == null) return Promise.resolve({ who: 'unseen', says: 'the process has ended' });
  const { group, mark, beyond, spec } = entry;
  const [jobId = ''] = options.jobNode.split('/');
  const isBeyond = beyond !== undefined || spec.mpi !== undefined;
  return whoAnswers(host, port, { group, mark, sought: soughtOf(options, entry), jobId, isBeyond });
}
