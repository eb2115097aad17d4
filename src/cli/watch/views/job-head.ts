import { clock, duration } from '../../view/lines.ts';
import type { JobHistory } from '../model/job-history.ts';
import { workerCounts } from '../model/job-line.ts';
import { bar, labelled, type Row, span, sparkline, type Tone, wrapped } from './rows.ts';
import type { JobScene } from './scene.ts';

const LINKS = {
  connecting: span('connecting', 'warn'),
  live: span('live', 'good'),
  files: span('from files: its bus cannot be reached', 'warn'),
  over: span('over', 'dim'),
} as const;

/** The first row of each of a job's pages. */
export function jobTitle(
  { jobId, name, link, queue, exitCode, history }: JobScene,
  ...more: readonly string[]
): Row {
  const state = history.job.sweep ?? queue ?? 'starting';
  const shown = link === 'over' ? `over${exitCode === null ? '' : `, exit code ${exitCode}`}` : state;
  return [
    span(`${jobId} ${name}`, 'title'),
    ...more.map((text) => span(` › ${text}`, 'title')),
    span(`  ${shown}  `, link === 'over' && exitCode !== 0 ? 'bad' : 'busy'),
    ...(link === 'over' ? [] : [LINKS[link]]),
  ];
}

/** What a job does, how far it is and what is wrong with it. */
export function jobHead(scene: JobScene, columns: number, now: number): Row[] {
  const { history, cause, slow, queue, link } = scene;
  const { job } = history;
  return [
    ...(queue !== null && job.sweep === null ? [labelled('Slurm', span(queue, 'warn'))] : []),
    ...sweepRows(scene, now),
    ...benchRows(scene, columns),
    ...(link === 'over' ? [] : workerRows(history)),
    ...(cause ? paragraph('cause', cause.summary, columns, 'bad') : []),
    ...(cause?.says ? paragraph('', cause.says, columns) : []),
    ...failedPoints(scene, columns),
    ...failureRows(history, cause?.process),
    ...slow.slice(0, 3).map(({ node, why }) => labelled('slow', span(`${node}: ${why}`, 'warn'))),
    ...job.warnings.slice(-1).map((text) => labelled('warning', span(text, 'warn'))),
  ];
}

function sweepRows({ history, link }: JobScene, now: number): Row[] {
  const { job, startedAt, endedAt } = history;
  const current = [...job.points].at(-1);
  const until = endedAt === null ? now : Date.parse(endedAt);
  const rows: Row[] = [];
  const progress = job.sweepProgress;
  if (job.pointCount > 0) {
    const { done = 0, failed = 0, left = 0, meanPointMs = null, expectedEndAt = null } = progress ?? {};
    const isOver = link === 'over';
    const tookMs = startedAt === null ? null : Math.max(0, until - Date.parse(startedAt));
    // What is asked most comes first, because a narrow screen cuts the rest.
    const text = [
      `${done} of ${job.pointCount} points done${failed > 0 ? `, ${failed} failed` : ''}`,
      ...(expectedEndAt === null || left === 0 || isOver ? [] : [`ends about ${clock(expectedEndAt)}`]),
      ...(meanPointMs === null ? [] : [`${duration(meanPointMs)} a point`]),
      ...(tookMs === null ? [] : [`${duration(tookMs)}${isOver ? '' : ' so far'}`]),
    ].join('; ');
    const full = bar((done + failed) / job.pointCount, 12);
    rows.push(labelled('sweep', span(`${full} `, 'busy'), span(text, failed > 0 ? 'warn' : undefined)));
  }
  if (current && link !== 'over') {
    const [ordinal, { name, state, since, why }] = current;
    const age = duration(Math.max(0, now - Date.parse(since)));
    rows.push(
      labelled(
        'point',
        span(`${ordinal} ${name}: `),
        span(`${state} for ${age}`, 'busy'),
        span(why === '' ? '' : ` (${why})`, 'dim'),
      ),
    );
  } else if (!current) rows.push(labelled('job', span(job.why === '' ? 'no event yet' : job.why)));
  return rows;
}

function benchRows({ history, engines }: JobScene, columns: number): Row[] {
  const { job, rates, stageLeftMs } = history;
  const { progress } = job;
  if (!progress) return [];
  const { stage, concurrency, step, steps, requestsDone, requestsTotal, failed } = progress;
  const left = stageLeftMs === null ? '' : `, ${duration(stageLeftMs)} left`;
  const bad = failed > 0 ? span(`, ${failed} failed`, 'bad') : span('');
  const what = `${stage}, concurrency ${concurrency} (${step} of ${steps}): ${requestsDone} of ${requestsTotal} requests`;
  const totals = engines.totals(job.processes.keys());
  const running = progress.inFlight ?? totals.running;
  const figures = [
    `${progress.outputThroughput.toFixed(0)} output tok/s`,
    ...(progress.ttftMs === undefined ? [] : [`TTFT ${progress.ttftMs.toFixed(0)} ms`]),
    ...(progress.itlMs === undefined ? [] : [`ITL ${progress.itlMs.toFixed(1)} ms`]),
    ...(running === null ? [] : [`${running} requests running`]),
    ...(totals.waiting === null ? [] : [`${totals.waiting} waiting`]),
  ].join(' · ');
  const bars = Math.max(0, Math.min(40, columns - figures.length - 11));
  return [
    labelled(
      'bench',
      span(`${bar(requestsTotal > 0 ? requestsDone / requestsTotal : 0, 12)} `, 'busy'),
      span(what),
      bad,
      span(left),
    ),
    labelled('', span(figures), span(` ${sparkline(rates, bars)}`, 'busy')),
  ];
}

function workerRows(history: JobHistory): Row[] {
  const counts = workerCounts(history);
  if (counts.length === 0) return [];
  const spans = counts.map(({ role, ready, failed, all }, index) =>
    span(
      `${index === 0 ? '' : ' · '}${role} ${ready} of ${all} ready${failed > 0 ? `, ${failed} failed` : ''}`,
      failed > 0 ? 'bad' : ready < all ? 'warn' : 'good',
    ),
  );
  return [labelled('workers', ...spans)];
}

/** The last point that has failed before the one that runs. */
function failedPoints({ history, cause }: JobScene, columns: number): Row[] {
  const failed = [...history.job.points].filter(
    ([, point]) => point.state === 'failed' && point.cause && point.cause.summary !== cause?.summary,
  );
  const [ordinal, point] = failed.at(-1) ?? [];
  if (!point?.cause) return [];
  const more = failed.length > 1 ? ` (and ${failed.length - 1} before it)` : '';
  return paragraph('failed', `point ${ordinal} ${point.name}${more}: ${point.cause.summary}`, columns, 'bad');
}

/** A text in as many rows as it needs, at most three. */
function paragraph(label: string, text: string, columns: number, tone?: Tone): Row[] {
  const lines = wrapped(text, Math.max(10, columns - 9));
  const shown = lines.length <= 3 ? lines : [...lines.slice(0, 2), lines.slice(2).join(' ')];
  return shown.map((line, at) => labelled(at === 0 ? label : '', span(line, tone)));
}

/** The last failures of processes, without the one that is the cause: with a policy of restarts there is none. */
function failureRows({ failures, job }: JobHistory, cause: string | undefined): Row[] {
  return failures
    .filter(({ process }) => process !== cause)
    .slice(-2)
    .map(({ at, process, node, why, role }) => {
      const restart = job.restarts.get(process.replace(/-\d+$/, ''));
      const again = restart ? `; restart ${restart.restart} of ${restart.most}: ${restart.to}` : '';
      return labelled(
        'died',
        span(
          `${process} (${role}) on ${node} at ${new Date(at).toTimeString().slice(0, 8)}: ${why}${again}`,
          'bad',
        ),
      );
    });
}
