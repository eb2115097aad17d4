import { accuracyTable } from '../../benchmarks/common/accuracy-table.ts';
import { servingTable } from '../../benchmarks/common/table.ts';
import {
  type Cause,
  type PointResult,
  statusOfResult,
  type WorkerRestart,
} from '../../messages/job-directory/result.ts';
import { EXIT } from '../../os/errors.ts';
import type { JobView } from '../jobs/job-model.ts';
import { plain } from '../terminal/text.ts';
import { duration } from './lines.ts';
import { type Colors, paint } from './process-list.ts';

const LOG_LINES = 50;
/** With more points than this only `srtctl results` shows the figures of each. */
const MOST_TABLES = 24;
const MOST_NAMES = 8;

/**
 * The summary of an ended job: the results of each point, and for a failure its cause with the end of the
 * log.
 */
export function summaryOf(view: JobView, jobDir: string, colors: Colors, columns?: number): string {
  const results =
    view.results.length <= MOST_TABLES
      ? view.results.flatMap((result) => pointLines(result, view.cause, colors, columns))
      : [`${view.results.length} points have run: srtctl results ${jobDir}`];
  const lines = ['', ...results];
  lines.push(...notDone(view.results, colors));
  lines.push(...view.warnings.map((text) => `${colors.yellow('warning')}: ${plain(text)}`));
  lines.push(...failedPoints(view.results, colors));
  if (view.cause) lines.push(...causeLines(view.cause, view.exitCode, colors));
  lines.push('', `results: ${jobDir}`);
  return lines.join('\n');
}

function pointLines(
  result: PointResult,
  told: Cause | null,
  colors: Colors,
  columns: number | undefined,
): string[] {
  const { ordinal, name, status, benchmark, cause, lost = [] } = result;
  const shown = statusOfResult(result);
  const title = `point ${ordinal} ${name}: ${paint(colors, status)(shown)}`;
  // The job's own cause follows in full; another point's cause is one line here.
  const why = cause && cause.summary !== told?.summary ? ` (${plain(cause.summary)})` : '';
  const { serving = [], accuracy = [] } = benchmark ?? {};
  const table = [
    ...(serving.length > 0 ? [servingTable(serving, columns)] : []),
    ...(accuracy.length > 0 ? [accuracyTable(accuracy)] : []),
  ];
  const losses = lost.map((loss) => `  ${colors.yellow('lost')}: ${plain(loss.summary)}`);
  const restarts = (result.worker_restarts ?? []).map(
    (restart) => `  ${colors.yellow('restarted')}: ${plain(restartSummary(restart))}`,
  );
  return [`${title}${why}`, ...losses, ...restarts, ...validityLines(benchmark, colors), ...table];
}

/** Each reason for which figures do not count, when there are several; and which limits the recipe changes. */
function validityLines(benchmark: PointResult['benchmark'], colors: Colors): string[] {
  const { reasons = [], serving = [] } = benchmark ?? {};
  const shown = reasons.length > 1 ? reasons : [];
  const changed = new Set(
    serving.flatMap(({ validity }) =>
      (validity?.changed ?? []).map(({ what, limit }) => `${what} ${limit ?? 'without a limit'}`),
    ),
  );
  return [
    ...shown.map(({ text, concurrency }) => {
      const where = concurrency === undefined ? '' : `concurrency ${concurrency}: `;
      return `  ${colors.red('not valid')}: ${where}${plain(text)}`;
    }),
    ...(changed.size > 0 ? [`  limits that the recipe changes: ${[...changed].join(', ')}`] : []),
  ];
}

/** Unsupported options that affect no figure, once for all points. */
const notDone = (results: readonly PointResult[], colors: Colors): string[] =>
  [...new Set(results.flatMap((result) => result.notDone ?? []))].map(
    (line) => `${colors.yellow('not done')}: ${plain(line)}`,
  );

/**
 * All failed points of a sweep with their causes, repeated together, because the results between them may
 * fill screens.
 */
function failedPoints(results: readonly PointResult[], colors: Colors): string[] {
  const failed = results.filter(({ status }) => status === 'failed');
  if (results.length < 2 || failed.length === 0) return [];
  return [
    '',
    colors.red(`${failed.length} of ${results.length} points failed:`),
    ...failed.map(({ ordinal, name, cause, attempt = 1 }) => {
      const tried = attempt > 1 ? ` (${attempt} attempts)` : '';
      return `  point ${ordinal} ${name}${tried}: ${plain(cause?.summary ?? 'no cause is known')}`;
    }),
  ];
}

function causeLines(cause: Cause, exitCode: number | null, colors: Colors): string[] {
  const stopped = exitCode === EXIT.interrupted || exitCode === EXIT.terminated;
  const { node, process, logFile, logTail = [] } = cause;
  const where = [node, process, endOf(cause)].filter((part) => part !== undefined).join(', ');
  return [
    '',
    `${stopped ? colors.yellow('stopped') : colors.red('failed')}: ${plain(cause.summary)}`,
    ...(where === '' ? [] : [`  ${where}`]),
    ...explanation(cause, colors),
    ...(logFile === undefined ? [] : [`  log: ${logFile}`]),
    ...logTail.slice(-LOG_LINES).map((line) => `  | ${plain(line)}`),
  ];
}

/** The log line of a cause, its meaning, and what to do. */
export function explanation({ error, says, advice, followed = [] }: Cause, colors: Colors): string[] {
  return [
    ...(error === undefined ? [] : [`  error: ${colors.bold(plain(error))}`]),
    ...(says === undefined ? [] : [`  ${says}`]),
    ...(advice === undefined ? [] : [`  what to do: ${advice}`]),
    ...(followed.length === 0 ? [] : [`  ended with it: ${some(followed)}`]),
  ];
}

const some = (names: readonly string[]): string =>
  names.length <= MOST_NAMES
    ? names.join(', ')
    : `${names.slice(0, MOST_NAMES).join(', ')} and ${names.length - MOST_NAMES} more`;

function endOf({ exitCode, signal }: Cause): string | undefined {
  if (signal) return `ended by ${signal}`;
  return exitCode == null ? undefined : `exit code ${exitCode}`;
}

/** `agg-1-0 (worker on node1) failed: ended by SIGKILL; ready 5.3 s later` */
const restartSummary = ({ why, backAfterMs, measured }: WorkerRestart): string =>
  [
    why,
    backAfterMs === null ? 'not ready again' : `ready ${duration(backAfterMs)} later`,
    ...(measured ? ['while requests were measured'] : []),
  ].join('; ');
