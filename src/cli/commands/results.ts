import type { Command } from 'commander';
import type { ResultLine } from '../../benchmarks/common/result-lines.ts';
import type { Rates } from '../../messages/job-directory/serving-result.ts';
import { SrtctlError } from '../../os/errors.ts';
import type { JobOnDisk } from '../jobs/job-dir.ts';
import { JOB_WORDS, OUTPUT_OPTION } from '../terminal/options.ts';
import { writeExactly } from '../terminal/terminal.ts';

interface ResultsOptions {
  readonly output?: string;
  readonly csv?: boolean;
  readonly json?: boolean;
}

export function registerResults(program: Command): void {
  program
    .command('results')
    .description('Show the results of a job: a line for each point and concurrency.')
    .argument('[job]', JOB_WORDS, 'latest')
    .option(...OUTPUT_OPTION)
    .option('--csv', 'comma-separated values, a column for each parameter and figure')
    .option('--json', 'one JSON object a line, as in results.jsonl')
    .addHelpText(
      'after',
      `
Examples:
  srtctl results latest
  srtctl results 1234567 --csv > results.csv`,
    )
    .action(show);
}

async function show(told: string, { output, csv, json }: ResultsOptions): Promise<void> {
  if (csv && json) throw new SrtctlError('usage', '--csv and --json: use only one of the two options');
  const { findJob, outputsRoot } = await import('../jobs/job-dir.ts');
  const { readPointResults } = await import('../../coordinator/record/read-results.ts');
  const { resultLines, toCsv } = await import('../../benchmarks/common/result-lines.ts');
  const job = await findJob(told, outputsRoot(output));
  const lines = [...(await readPointResults(job.jobDir)), ...(await unfinished(job))].flatMap(resultLines);
  const { leftOutOf } = await import('../jobs/left-out.ts');
  const missing = leftOutOf(job.spec);
  if (csv) writeExactly(toCsv(lines));
  else if (json) process.stdout.write(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  else {
    process.stdout.write(
      `${lines.length === 0 ? `no results yet in ${job.jobDir}` : await table(lines, process.stdout.columns)}\n`,
    );
    if (missing !== undefined) process.stdout.write(`${missing}\n`);
  }
}

/** Points without a result that have already measured some concurrencies. */
async function unfinished({ jobId, jobDir, spec }: JobOnDisk) {
  const { readUnfinished } = await import('../../coordinator/record/unfinished-points.ts');
  const { loadedVariantSchema, ordinalOf } = await import('../../recipe/variant.ts');
  const found = await readUnfinished(jobDir);
  const variant = found.length === 0 ? undefined : loadedVariantSchema.safeParse(spec.variant).data;
  const points = new Map(variant?.points.map((point, at) => [ordinalOf(variant, at), point]));
  return found.map(({ ordinal, benchmark }) => ({
    ...{ job: jobId, ordinal, benchmark, cause: null, status: 'unfinished' as const },
    name: points.get(ordinal)?.name ?? '',
    params: points.get(ordinal)?.params ?? null,
  }));
}

const number = (value: number | undefined): string =>
  value === undefined ? '' : value >= 1_000 ? value.toFixed(0) : value.toFixed(2);

/** Columns that a narrow terminal does without, the first ones first. */
const OPTIONAL = ['goodput', 'tok/s/user', 'tok/s/GPU', 'ITL', 'accuracy'];

async function table(lines: readonly ResultLine[], columns = Number.POSITIVE_INFINITY): Promise<string> {
  const { default: Table } = await import('cli-table3');
  const { CAUSE_COLUMNS, cut } = await import('../terminal/text.ts');
  const { scoresText } = await import('../../messages/job-directory/accuracy-result.ts');
  const { statusOf } = await import('../../messages/job-directory/result.ts');
  const rows = lines.map((line): Record<string, string> => {
    const { ordinal, name, status, valid, partial, concurrency, outputPerUser, cause } = line;
    return {
      point: String(ordinal),
      name,
      status: partial ? `${status}, partial` : statusOf(status, valid === null),
      concurrency: String(concurrency ?? ''),
      'req/s': number(line.requestThroughput),
      'out tok/s': number(line.outputThroughput),
      'tok/s/GPU': number(line.perGpu?.outputPerGpu),
      'tok/s/user': number(outputPerUser?.median),
      goodput: number(line.goodput?.requestThroughput),
      TTFT: number(line.ttftMs?.mean),
      TPOT: number(line.tpotMs?.mean),
      ITL: number(line.itlMs?.mean),
      E2EL: number(line.e2elMs?.mean),
      accuracy: scoresText(Object.entries(line.accuracy ?? {}).map(([task, { score }]) => ({ task, score }))),
      cause: cut(cause ?? '', CAUSE_COLUMNS),
    };
  });
  const drawn = (without: readonly string[]): string => {
    const isShown = (name: string): boolean =>
      !without.includes(name) && (!OPTIONAL.includes(name) || rows.some((row) => row[name] !== ''));
    const head = Object.keys(rows[0] ?? {}).filter(isShown);
    const table = new Table({ head, style: { head: [], border: [], compact: true } });
    table.push(...rows.map((row) => head.map((name) => row[name] ?? '')));
    return table.toString();
  };
  const forms = OPTIONAL.map((_, count) => OPTIONAL.slice(0, count));
  const fitting = [...forms, OPTIONAL].map(drawn).find((text) => text.indexOf('\n') <= columns);
  const rates = lines.flatMap((line) => (line.rates ? [ratesText(line, line.rates)] : []));
  return `${[fitting ?? drawn(OPTIONAL), ...rates].join('\n')}\nTTFT, TPOT, ITL, E2EL: mean, ms; goodput: requests/s; --csv and --json have all figures`;
}

const BARS = ' ▁▂▃▄▅▆▇█';
/** Columns of a chart. */
const CHART = 60;

/** Completed requests and output tokens per second over time, as charts. */
function ratesText({ ordinal, concurrency }: ResultLine, rates: Rates): string {
  const { seconds, completed, outputTokens } = rates;
  const each = Math.max(1, Math.ceil(completed.length / CHART));
  const chart = (name: string, counts: readonly number[]): string => {
    const columns = Array.from({ length: Math.ceil(counts.length / each) }, (_, at) => {
      const part = counts.slice(at * each, (at + 1) * each);
      return part.reduce((sum, count) => sum + count, 0) / (part.length * seconds);
    });
    const most = Math.max(...columns, 0);
    const bars = columns.map((rate) => BARS[most === 0 ? 0 : Math.ceil((rate / most) * (BARS.length - 1))]);
    return `  ${name.padEnd(9)} ${bars.join('')}  at most ${number(most)}`;
  };
  const title = `point ${ordinal}, concurrency ${concurrency}: a column is ${each * seconds} s (--json has the figures)`;
  return [title, chart('req/s', completed), chart('out tok/s', outputTokens)].join('\n');
}
