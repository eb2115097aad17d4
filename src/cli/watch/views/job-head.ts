import { duration, sweepText } from '../../view/lines.ts';
import type { JobHistory } from '../model/job-history.ts';
import { workerCounts } from '../model/job-line.ts';
import { bar, labelled, type Row, span, sparkline } from './rows.ts';
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
    ...(cause ? [labelled('cause', span(cause.summary, 'bad'))] : []),
    ...(cause?.says ? [labelled('', span(cause.says))] : []),
    ...failureRows(history, cause?.process),
    ...slow.slice(0, 3).map(({ node, why }) => labelled('slow', span(`${node}: ${why}`, 'warn'))),
    ...job.warnings.slice(-1).map((text) => labelled('warning', span(text, 'warn'))),
  ];
}

function sweepRows({ history, link }: JobScene, now: number): Row[] {
  const { job, startedAt, endedAt } = history;
  const current = [...job.points].at(-1);
  const until = endedAt === null ? now : Date.parse(endedAt);
  const elapsed =
    startedAt === null ? '' : `, ${duration(Math.max(0, until - Date.parse(startedAt)))} so far`;
  const rows: Row[] = [];
  const progress = job.sweepProgress;
  const ended = progress ? progress.done + progress.failed : 0;
  if (job.pointCount > 0) {
    const text = progress ? sweepText(progress, link !== 'over') : `0 of ${job.pointCount} points done`;
    const failed = (progress?.failed ?? 0) > 0;
    rows.push(
      labelled(
        'sweep',
        span(`${bar(ended / job.pointCount, 12)} `, 'busy'),
        span(`${text}${link === 'over' ? '' : elapsed}`, failed ? 'warn' : undefined),
      ),
    );
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
