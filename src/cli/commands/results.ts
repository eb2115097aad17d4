import type { Command } from 'commander';
import type { ResultLine } from '../../benchmarks/common/result-lines.ts';
import { SrtctlError } from '../../os/errors.ts';
import type { JobOnDisk } from '../jobs/job-dir.ts';
import { OUTPUT_OPTION } from '../terminal/options.ts';
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
    .argument('[job]', 'job id, the path of its directory, or "latest"', 'latest')
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
  const { readPointResults } = await import('../../coordinator/record/point-results.ts');
  const { resultLines, toCsv } = await import('../../benchmarks/common/result-lines.ts');
  const job = await findJob(told, outputsRoot(output));
  const lines = [...(await readPointResults(job.jobDir)), ...(await unfinished(job))].flatMap(resultLines);
  if (csv) writeExactly(toCsv(lines));
  else if (json) process.stdout.write(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  else
    process.stdout.write(`${lines.length === 0 ? `no results yet in ${job.jobDir}` : await table(lines)}\n`);
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

async function table(lines: readonly ResultLine[]): Promise<string> {
  const { default: Table } = await import('cli-table3');
  const { CAUSE_COLUMNS, cut } = await import('../terminal/text.ts');
  const { statusOf } = await import('../../messages/job-directory/result.ts');
  const table = new Table({
    head: ['point', 'name', 'status', 'concurrency', 'req/s', 'out tok/s', 'TTFT', 'TPOT', 'E2EL', 'cause'],
    style: { head: [], border: [], compact: true },
  });
  for (const line of lines) {
    const { ordinal, name, status, valid, partial, concurrency, ttftMs, tpotMs, e2elMs, cause } = line;
    const means = [ttftMs, tpotMs, e2elMs].map((figure) => number(figure?.mean));
    const rates = [line.requestThroughput, line.outputThroughput].map(number);
    table.push([
      ...[
        ordinal,
        name,
        partial ? `${status}, partial` : statusOf(status, valid === null),
        concurrency ?? '',
      ].map(String),
      ...rates,
      ...means,
      cut(cause ?? '', CAUSE_COLUMNS),
    ]);
  }
  return `${table.toString()}\nTTFT, TPOT, E2EL: mean, ms; --csv and --json have all figures`;
}
