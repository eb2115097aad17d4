import type { Command } from 'commander';
import { EXIT } from '../errors.ts';
import type { Cause } from '../messages/result.ts';
import type { JobOnDisk } from './job-dir.ts';
import { OUTPUT_OPTION } from './options.ts';

interface WhyOptions {
  readonly output?: string;
  readonly json?: boolean;
}

export function registerWhy(program: Command): void {
  program
    .command('why')
    .description(
      'Say why a job or its points failed: what failed first, the line of its log, and what to do.',
    )
    .argument('[job]', 'job id, the path of its directory, or "latest"', 'latest')
    .option(...OUTPUT_OPTION)
    .option('--json', 'one JSON object a line, one for each point that failed')
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
  const { findJob, outputsRoot } = await import('./job-dir.ts');
  const job = await findJob(told, outputsRoot(output));
  const stop = await stopOf(job);
  const failures = await failuresOf(job, stop !== null);
  if (json) {
    if (stop) print(JSON.stringify({ jobId: job.jobId, stopped: stop }));
    for (const failure of failures) print(JSON.stringify({ jobId: job.jobId, ...failure }));
    return;
  }
  if (stop) {
    const { clock } = await import('./view/lines.ts');
    const { plain } = await import('./view/text.ts');
    print(`job ${job.jobId} was stopped at ${clock(stop.at)}: ${plain(stop.why)}; ${stop.points}`);
  } else if (failures.length === 0)
    return print(`job ${job.jobId}: nothing has failed${await unmeasured(job)}`);
  const { explanation } = await import('./view/summary.ts');
  const { colorsFor } = await import('./view/printers.ts');
  const { plain } = await import('./view/text.ts');
  const colors = colorsFor(process.stdout, process.env);
  for (const { point, cause } of failures) {
    const what = point === null ? `job ${job.jobId}` : `point ${point.ordinal} ${point.name}`;
    print(`${what} ${colors.red('failed')}: ${plain(cause.summary)}`);
    for (const line of explanation(cause, colors)) print(line);
    if (cause.logFile !== undefined) print(`  log: ${cause.logFile}`);
    for (const line of (cause.logTail ?? []).slice(-10)) print(`  | ${plain(line)}`);
  }
}

interface Stop {
  /** What was said when it was stopped: by whom, or by what. */
  readonly why: string;
  readonly at: string;
  /** How far it had come. */
  readonly points: string;
}

const STOPPED: readonly (number | null)[] = [EXIT.interrupted, EXIT.terminated, EXIT.outOfTime];

/** Who stopped a job that did not fail by itself, when, and what was finished; null of one that nobody stopped. */
async function stopOf(job: JobOnDisk): Promise<Stop | null> {
  const { readEvents } = await import('./job-dir.ts');
  const { jobStatus } = await import('./job-status.ts');
  const { statusOf } = await import('../messages/result.ts');
  const { counts } = await import('./view/process-list.ts');
  const { exitCode, points } = await jobStatus(job, { live: false });
  if (!STOPPED.includes(exitCode)) return null;
  const begun = (await readEvents(job)).find(
    (event) => event.kind === 'sweep.transition' && event.to === 'cleaning',
  );
  if (begun?.kind !== 'sweep.transition') return null;
  const states = points.map(({ status, state, noFigures }) =>
    status === null ? (state === 'planned' ? 'not begun' : state) : statusOf(status, noFigures === true),
  );
  return {
    why: begun.why,
    at: begun.at,
    points: `${points.length === 1 ? 'its point' : 'points'}: ${counts(states)}`,
  };
}

/** Of a job in which nothing has failed: the points that measured nothing. */
async function unmeasured(job: JobOnDisk): Promise<string> {
  const { readState } = await import('./job-dir.ts');
  const without = (await readState(job))?.points.filter(({ noFigures }) => noFigures) ?? [];
  if (without.length === 0) return '';
  const names = without.map(({ ordinal, name }) => `point ${ordinal} ${name}`).join(', ');
  return `; ${names} ended well and left no figures, because the benchmark makes none that srtctl reads`;
}

async function failuresOf(job: JobOnDisk, wasStopped: boolean): Promise<Failure[]> {
  const { readEvents } = await import('./job-dir.ts');
  const { jobPaths } = await import('../coordinator/files.ts');
  const { jobStatus } = await import('./job-status.ts');
  const { distDirectory } = await import('./local-job.ts');
  const { explain, withError } = await import('../why/explain.ts');
  const { readSignatures } = await import('../why/signatures.ts');
  const { join } = await import('node:path');
  const signatures = readSignatures(join(distDirectory(), 'signatures.yaml'));
  const events = await readEvents(job);
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
  const { cause, state, exitCode } = await jobStatus(job, { live: false });
  if (cause) return [{ point: null, cause: withError(cause, signatures) }];
  if (wasStopped || (state !== 'dead' && (exitCode ?? 0) === 0)) return [];
  const { deathOf } = await import('./follow.ts');
  const { slurmStateOf } = await import('./job-dir.ts');
  const inSlurm = job.spec.mode === 'slurm' ? await slurmStateOf(job) : undefined;
  return [{ point: null, cause: withError(await deathOf(job, inSlurm), signatures) }];
}
