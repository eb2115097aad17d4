import { type Command, Option } from 'commander';
import type { JobSummary, UnreadableJob } from '../../jobs/job-summary.ts';
import { OUTCOMES, type Outcome } from '../../jobs/outcomes.ts';
import { OUTPUT_OPTION, SINCE_OPTION } from '../../terminal/options.ts';

interface LsOptions {
  readonly output?: string;
  readonly name?: string;
  readonly tag?: string;
  readonly since?: string;
  readonly mine?: boolean;
  readonly state?: Outcome;
  readonly lines?: string;
  readonly json?: boolean;
}

export function registerLs(program: Command): void {
  program
    .command('ls')
    .description('List jobs, newest first: where each stands, its points, its tags.')
    .option('--name <text>', 'only jobs whose name contains this')
    .option('--tag <tag>', 'only jobs with this tag')
    .addOption(new Option('--state <state>', 'only jobs in this state').choices(OUTCOMES))
    .option(...SINCE_OPTION)
    .option('--mine', 'only your own jobs')
    .option('-n, --lines <n>', 'only the newest n jobs')
    .option(...OUTPUT_OPTION)
    .option('--json', 'one JSON object a line')
    .addHelpText(
      'after',
      `
Examples:
  srtctl ls
  srtctl ls --state running --mine
  srtctl ls --tag nightly --since 7d --json | jq -r .jobId`,
    )
    .action(ls);
}

const print = (text: string): void => void process.stdout.write(`${text}\n`);

async function ls({ output, lines, state, json, since, mine, ...filter }: LsOptions): Promise<void> {
  const { timeOf } = await import('../../terminal/since.ts');
  const { wholeNumber } = await import('../../terminal/options.ts');
  const most = lines === undefined ? Number.POSITIVE_INFINITY : wholeNumber('--lines', lines);
  const { outputsRoot } = await import('../../jobs/job-dir.ts');
  const { summariesOf } = await import('../../jobs/job-summary.ts');
  const root = outputsRoot(output);
  const found = await summariesOf(root, {
    ...filter,
    own: mine === true,
    since: since === undefined ? undefined : timeOf(since, Date.now()),
  });
  const isFiltered = [state, since, mine, filter.name, filter.tag].some((each) => each !== undefined);
  const jobs = found
    .filter((job) => ('outcome' in job ? state === undefined || job.outcome === state : !isFiltered))
    .slice(0, most);
  if (json) for (const job of jobs) print(JSON.stringify(job));
  else if (jobs.length === 0)
    print(found.length === 0 && !isFiltered ? `no jobs in ${root}` : `no such job in ${root}`);
  else print(await tableOf(jobs, process.stdout.columns));
}

/** Without a terminal lines may be this long. */
const COLUMNS = 160;

async function tableOf(jobs: readonly (JobSummary | UnreadableJob)[], columns = COLUMNS): Promise<string> {
  const { default: Table } = await import('cli-table3');
  const { cut, widthOf } = await import('../../terminal/text.ts');
  const head = ['job', 'name', 'state', 'points', 'submitted', 'tags', 'note'];
  const rows = jobs.map(rowOf).map((row) => row.map((cell) => cut(cell, CELL)));
  const widthOfColumn = (at: number) => Math.max(...[head, ...rows].map((row) => widthOf(row[at] ?? '')));
  // Each cell has a border and two spaces.
  const others = head.slice(0, -1).reduce((sum, _, at) => sum + widthOfColumn(at) + 3, 0);
  const left = Math.max(LEAST_NOTE, columns - others - 4);
  const table = new Table({ head, style: { head: [], border: [], compact: true } });
  table.push(...rows.map((row) => [...row.slice(0, -1), cut(row.at(-1) ?? '', left)]));
  return table.toString();
}

/** Most cells of a column, and fewest of the last one. */
const CELL = 60;
const LEAST_NOTE = 12;

function rowOf(job: JobSummary | UnreadableJob): string[] {
  if (!('outcome' in job)) return [job.jobId, '', job.state, '', '', '', ''];
  const { jobId, name, state, exitCode, pointsDone, pointsFailed, points, submittedAt, tags } = job;
  const failed = pointsFailed === 0 ? '' : `, ${pointsFailed} failed`;
  return [
    jobId,
    name,
    exitCode === null ? state : `${state} (${exitCode})`,
    points === 0 ? '' : `${pointsDone} of ${points}${failed}`,
    localTime(submittedAt),
    tags.join(', '),
    noteOf(job),
  ];
}

/** What matters most: the cause of a failure, the reason of a wait, the point that runs. */
function noteOf({ cause, slurm, point, expectedEndAt, state }: JobSummary): string {
  if (cause !== null) return cause;
  if (point) {
    const end = expectedEndAt === null ? '' : `, expected end ${localTime(expectedEndAt)}`;
    return `${point.name} ${point.state}${end}`;
  }
  return slurm && slurm.state.toLowerCase() === state && !['', 'None'].includes(slurm.reason)
    ? slurm.reason
    : '';
}

/** `2026-01-31 14:30` in local time. */
function localTime(at: string): string {
  const date = new Date(at);
  const two = (number: number): string => String(number).padStart(2, '0');
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}`;
}
