import type { Command } from 'commander';
import type { JobStatus } from '../../jobs/job-status.ts';
import { JOB_WORDS, OUTPUT_OPTION } from '../../terminal/options.ts';
import { CAUSE_COLUMNS, cut } from '../../terminal/text.ts';

interface StatusOptions {
  readonly output?: string;
  readonly json?: boolean;
}

export function registerStatus(program: Command): void {
  program
    .command('status')
    .description('Show the state of a job; without a job, list all jobs, newest first.')
    .argument('[job]', JOB_WORDS)
    .option(...OUTPUT_OPTION)
    .option('--json', 'one JSON object a line')
    .addHelpText(
      'after',
      `
Examples:
  srtctl status                            all jobs
  srtctl status latest                     nodes, points and processes of one
  srtctl status --json | jq -r .jobId`,
    )
    .action((told: string | undefined, options: StatusOptions) =>
      told === undefined ? showAll(options) : showOne(told, options),
    );
}

const print = (text: string): void => void process.stdout.write(`${text}\n`);

async function showAll({ output, json }: StatusOptions): Promise<void> {
  const { join } = await import('node:path');
  const { askSlurmAbout, listJobs, outputsRoot, readJob } = await import('../../jobs/job-dir.ts');
  const { jobStatus } = await import('../../jobs/job-status.ts');
  const root = outputsRoot(output);
  const rows: string[][] = [];
  const jobs = await Promise.all(
    (await listJobs(root)).map(async (jobId) => ({ jobId, job: await readJob(join(root, jobId)) })),
  );
  await askSlurmAbout(jobs.flatMap(({ job }) => job ?? []));
  for (const { jobId, job } of jobs) {
    const status = job && (await jobStatus(job, { live: false }));
    if (json && status) print(JSON.stringify(status));
    else rows.push(status ? rowOf(status) : [jobId, '', 'unreadable', '', '']);
  }
  if (json) return;
  if (rows.length === 0) return print(`no jobs in ${root}`);
  const { default: Table } = await import('cli-table3');
  const table = new Table({
    head: ['job', 'name', 'state', 'points done', 'cause'],
    style: { head: [], border: [], compact: true },
  });
  table.push(...rows);
  print(table.toString());
}

const rowOf = ({ jobId, name, state, exitCode, points, pointsDone, cause }: JobStatus): string[] => [
  jobId,
  name,
  exitCode === null ? state : `${state} (${exitCode})`,
  `${pointsDone} of ${points.length}`,
  cut(cause?.summary ?? '', CAUSE_COLUMNS),
];

async function showOne(told: string, { output, json }: StatusOptions): Promise<void> {
  const { findJob, outputsRoot } = await import('../../jobs/job-dir.ts');
  const { jobStatus } = await import('../../jobs/job-status.ts');
  const status = await jobStatus(await findJob(told, outputsRoot(output)), { live: true });
  if (json) return print(JSON.stringify(status));
  const { statusText } = await import('../../view/status.ts');
  const { colorsFor } = await import('../../view/printers.ts');
  print(statusText(status, colorsFor(process.stdout, process.env), Date.now()));
}
