import type { Command } from 'commander';
import type { SrtEvent } from '../../../messages/events/events.ts';
import type { Cause } from '../../../messages/job-directory/result.ts';
import { EXIT } from '../../../os/errors.ts';
import type { JobOnDisk } from '../../jobs/job-dir.ts';
import type { JobStatus } from '../../jobs/job-status.ts';
import { JOB_WORDS, OUTPUT_OPTION } from '../../terminal/options.ts';

interface WhyOptions {
  readonly output?: string;
  readonly json?: boolean;
}

export function registerWhy(program: Command): void {
  program
    .command('why')
    .description('Explain why a job or its points failed: the first failure, its log line, and what to do.')
    .argument('[job]', JOB_WORDS, 'latest')
    .option(...OUTPUT_OPTION)
    .option('--json', 'one JSON object a line: who stopped the job, if anyone, and each failed point')
    .addHelpText(
      'after',
      `
Looks at all ends of processes in events.jsonl and at all logs, so it finds a rank that ran out of memory behind the
ranks that waited for it.

Examples:
  srtctl why                   the newest job
  srtctl why 4711 --json | jq -r .cause.error`,
    )
    .action((told: string, options: WhyOptions) => why(told, options));
}

interface Failure {
  /** null: the job failed before or outside of its points. */
  readonly point: { readonly ordinal: number; readonly name: string } | null;
  readonly cause: Cause;
}

const print = (text: string): void => void process.stdout.write(`${text}\n`);

async function why(told: string, { output, json }: WhyOptions): Promise<void> {
  const { findJob, outputsRoot } = await import('../../jobs/job-dir.ts');
  const job = await findJob(told, outputsRoot(output));
  const { readEvents } = await import('../../jobs/job-dir.ts');
  const { jobStatus } = await import('../../jobs/job-status.ts');
  const [events, status] = await Promise.all([readEvents(job), jobStatus(job, { live: false })]);
  const stop = await stopOf(events, status);
  const failures = await failuresOf(job, events, status, stop !== null);
  if (json) {
    if (stop) print(JSON.stringify({ jobId: job.jobId, stopped: stop }));
    for (const failure of failures) print(JSON.stringify({ jobId: job.jobId, ...failure }));
    return;
  }
  const { plain } = await import('../../terminal/text.ts');
  if (stop) {
    const { clock } = await import('../../view/lines.ts');
    print(`job ${job.jobId} was stopped at ${clock(stop.at)}: ${plain(stop.why)}; ${stop.points}`);
  } else if (failures.length === 0)
    return print(`job ${job.jobId}: nothing has failed${await unmeasured(job)}`);
  const { explanation } = await import('../../view/summary.ts');
  const { colorsFor } = await import('../../view/printers.ts');
  const colors = colorsFor(process.stdout, process.env);
  for (const { point, cause } of failures) {
    const what = point === null ? `job ${job.jobId}` : `point ${point.ordinal} ${point.name}`;
    print(`${what} ${colors.red('failed')}: ${plain(cause.summary)}`);
    for (const line of explanation(cause, colors)) print(line);
    if (cause.logFile !== undefined) print(`  log: ${cause.logFile}`);
    for (const line of (cause.logTail ?? []).slice(-10)) print(`  | ${plain(line)}`);
  }
  await printClocks(status);
}

/** Clocks that would mislead a reader of the logs; the first failure was found by corrected times. */
async function printClocks({ nodes }: JobStatus): Promise<void> {
  const { clockText, isClockOff } = await import('../../view/lines.ts');
  const { plain } = await import('../../terminal/text.ts');
  for (const { node, clock } of nodes)
    if (clock && isClockOff(clock))
      print(plain(`${clockText({ node, ...clock })}: the first failure was found by corrected times`));
}

interface Stop {
  /** The reason of the stop: a person or an event. */
  readonly why: string;
  readonly at: string;
  /** The progress of the job at that time. */
  readonly points: string;
}

const STOPPED: readonly (number | null)[] = [EXIT.interrupted, EXIT.terminated, EXIT.outOfTime];

/** Finds who stopped the job, when, and at what progress; null when the job ended by itself. */
async function stopOf(events: readonly SrtEvent[], { exitCode, points }: JobStatus): Promise<Stop | null> {
  if (!STOPPED.includes(exitCode)) return null;
  const begun = events.find((event) => event.kind === 'sweep.transition' && event.to === 'cleaning');
  if (begun?.kind !== 'sweep.transition') return null;
  const { statusOf } = await import('../../../messages/job-directory/result.ts');
  const { counts } = await import('../../view/process-list.ts');
  const states = points.map(({ status, state, noFigures }) =>
    status === null ? (state === 'planned' ? 'not begun' : state) : statusOf(status, noFigures === true),
  );
  return {
    why: begun.why,
    at: begun.at,
    points: `${points.length === 1 ? 'its point' : 'points'}: ${counts(states)}`,
  };
}

/** For a job without a failure: the points without figures. */
async function unmeasured(job: JobOnDisk): Promise<string> {
  const { readState } = await import('../../jobs/job-dir.ts');
  const without = (await readState(job))?.points.filter(({ noFigures }) => noFigures) ?? [];
  if (without.length === 0) return '';
  const names = without.map(({ ordinal, name }) => `point ${ordinal} ${name}`).join(', ');
  return `; ${names} succeeded without figures, because srtctl can read none from this benchmark`;
}

async function failuresOf(
  job: JobOnDisk,
  events: readonly SrtEvent[],
  { cause: ofJob, state, exitCode }: JobStatus,
  wasStopped: boolean,
): Promise<Failure[]> {
  const { jobPaths } = await import('../../../messages/job-directory/files.ts');
  const { distDirectory } = await import('../../submit/local-job.ts');
  const { explain, withError } = await import('../../../why/explain.ts');
  const { readSignatures } = await import('../../../why/signatures.ts');
  const { join } = await import('node:path');
  const signatures = readSignatures(join(distDirectory(), 'signatures.yaml'));
  const eventsFile = jobPaths(job.jobDir, job.jobId).events;
  const failed = new Map<number, { name: string; cause: Cause }>();
  for (const event of events)
    if (event.kind === 'point.transition' && event.cause !== null && event.to !== 'interrupted')
      failed.set(event.ordinal, { name: event.name, cause: event.cause });
  const failures = await Promise.all(
    [...failed].map(
      async ([ordinal, { name, cause }]): Promise<Failure> => ({
        point: { ordinal, name },
        cause: await explain(events, ordinal, cause, signatures, eventsFile),
      }),
    ),
  );
  if (failures.length > 0) return failures.sort((a, b) => (a.point?.ordinal ?? 0) - (b.point?.ordinal ?? 0));
  if (ofJob) return [{ point: null, cause: withError(ofJob, signatures) }];
  if (wasStopped || (state !== 'dead' && (exitCode ?? 0) === 0)) return [];
  const { deathOf } = await import('../../view/follow.ts');
  const { slurmStateOf } = await import('../../jobs/job-dir.ts');
  const inSlurm = job.spec.mode === 'slurm' ? await slurmStateOf(job) : undefined;
  return [{ point: null, cause: withError(await deathOf(job, inSlurm), signatures) }];
}
