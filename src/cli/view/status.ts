import { statusOf } from '../../messages/job-directory/result.ts';
import type { JobStatus } from '../jobs/job-status.ts';
import { plain } from '../terminal/text.ts';
import { clockText, duration, isClockOff, restartText, sweepText } from './lines.ts';
import { type Colors, counts, paint, processLines } from './process-list.ts';
import { reachLines, servingOf } from './reach.ts';

/** More nodes or processes than this are counted, and only those with problems are listed. */
const LIST_UP_TO = 40;
const COLUMNS = 160;

/** The state of a job for people; `now` in ms since the epoch. */
export function statusText(status: JobStatus, colors: Colors, now: number): string {
  const { jobId, name, state, exitCode, points, progress, cause, jobDir, over } = status;
  const { slurm, edits } = status;
  const processes = status.processes.filter((process) => over || process.state !== 'stopped');
  return [
    `${colors.bold(jobId)}  ${name}`,
    `  state    ${state}${exitCode === null ? '' : ` (exit code ${exitCode})`}`,
    ...(slurm
      ? [`  Slurm    ${slurm.state}${['', 'None'].includes(slurm.reason) ? '' : `, ${slurm.reason}`}`]
      : []),
    ...edits.map((option) => `  changed  ${plain(option)}`),
    ...(progress ? [`  sweep    ${sweepText(progress, !over)}`] : []),
    ...pointLines(points, colors),
    ...(over ? [] : servingLines(status)),
    ...nodeLines(status, colors),
    ...status.restarts.map((restart) => `  restart  ${plain(restartText(restart))}`),
    ...status.warnings.map((text) => `  warning  ${plain(text)}`),
    ...processLines(processes, { columns: COLUMNS, rows: LIST_UP_TO, colors, now }),
    ...(cause ? [`  cause    ${plain(cause.summary)}`] : []),
    `  in       ${jobDir}`,
  ].join('\n');
}

function servingLines({ points, jobDir, jobId }: JobStatus): string[] {
  const up = points.find(({ state }) => state === 'benchmarking');
  const serving = up && servingOf({ jobDir }, up.ordinal);
  return serving ? reachLines(serving, { jobId }).map((line) => `  ${plain(line)}`) : [];
}

/** In a long sweep successful points are only counted. */
function pointLines(points: JobStatus['points'], colors: Colors): string[] {
  const some = points.length <= LIST_UP_TO ? points : points.filter(isOfInterest).slice(0, LIST_UP_TO);
  const lines = some.map(({ ordinal, name, state, attempts, tookMs, noFigures, partialFigures }) => {
    const took = tookMs === undefined ? '' : `, ${duration(tookMs)}`;
    const tried = attempts === undefined ? '' : `, attempt ${attempts}`;
    return `  point ${ordinal}  ${name}: ${paint(colors, state)(statusOf(state, noFigures))}${tried}${took}${kept(partialFigures)}`;
  });
  const total = `  points   ${counts(points.map(({ state, noFigures }) => statusOf(state, noFigures).replace(',', '')))}`;
  return some.length < points.length ? [total, ...lines] : lines;
}

/** For a benchmark that did not finish. */
const kept = (concurrencies: number | undefined): string =>
  concurrencies === undefined
    ? ''
    : `, partial figures (${concurrencies} ${concurrencies === 1 ? 'concurrency' : 'concurrencies'})`;

const isOfInterest = ({ state }: JobStatus['points'][number]): boolean =>
  state !== 'done' && state !== 'planned';

function nodeLines({ nodes, over }: JobStatus, colors: Colors): string[] {
  const line = ({ node, state, pulse, clock }: JobStatus['nodes'][number]): string => {
    const load = pulse
      ? `, ${pulse.alive} processes, agent ${(pulse.rssBytes / 1_048_576).toFixed(0)} MiB`
      : '';
    const silent = !over && state === 'joined' && !pulse ? ', no heartbeat heard' : '';
    const off = clock && isClockOff(clock) ? `, ${clockText({ node, ...clock })}` : '';
    return `  ${node}: ${paint(colors, state)(state)}${load}${silent}${off}`;
  };
  if (nodes.length <= LIST_UP_TO) return nodes.map(line);
  const unwell = nodes.filter(
    ({ state, clock }) => (state !== 'joined' && state !== 'left') || (clock && isClockOff(clock)),
  );
  const total = `  nodes    ${counts(nodes.map(({ state }) => state))}`;
  return [total, ...unwell.slice(0, LIST_UP_TO).map(line)];
}
