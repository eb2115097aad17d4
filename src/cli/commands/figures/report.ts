import type { Command } from 'commander';
import type { Report } from '../../../report/model/report.ts';
import { writeExactly } from '../../terminal/terminal.ts';
import { addFigureOptions, type FigureOptions, reportFor } from './options.ts';

export function registerReport(program: Command): void {
  addFigureOptions(
    program
      .command('report')
      .description('Write a page with the charts, figures, failures and timeline of jobs: one HTML file.')
      .argument('[jobs...]', 'jobs, or files of results (default: latest)')
      .option(
        '-o, --out <file>',
        'the page to write (default: report.html, unless another form is asked for)',
      )
      .option('--csv', 'print comma-separated values: a line for each point and load')
      .option('--parquet <file>', 'write the same values as a Parquet file'),
  )
    .addHelpText(
      'after',
      `
Examples:
  srtctl report                                  report.html of your newest job
  srtctl report 1234567 1234568 -o both.html     several jobs in the same charts
  srtctl report latest --markdown >> notes.md
  srtctl report latest --parquet figures.parquet
  srtctl report latest --charts figures/         pareto.svg, latency-ttft.svg, …
  srtctl report latest vllm.json --gpus 8        beside the result of another tool`,
    )
    .action((jobs: string[], options: FigureOptions) => run(jobs, options, program.version() ?? ''));
}

async function run(jobs: readonly string[], options: FigureOptions, version: string): Promise<void> {
  const report = await reportFor(jobs.length === 0 ? ['latest'] : jobs, options, version);
  await printAs(report, options);
  await writeFiles(report, options, 'report.html');
}

/** Prints the form that is asked for on standard output. */
export async function printAs(report: Report, { markdown, json, csv }: FigureOptions): Promise<void> {
  const { linesOf, plainReport } = await import('../../../report/text/lines.ts');
  if (markdown) {
    const { markdownOf } = await import('../../../report/text/markdown.ts');
    writeExactly(markdownOf(report));
  }
  if (json) process.stdout.write(`${JSON.stringify(plainReport(report))}\n`);
  if (csv) {
    const { toCsv } = await import('../../../benchmarks/common/result-lines.ts');
    writeExactly(toCsv(linesOf(report)));
  }
}

/**
 * Writes the page and the charts, and says where they are on standard error, because standard output may be Markdown.
 * @param ifNothingElse the page's name when no other form is asked for
 */
export async function writeFiles(
  report: Report,
  { out, charts, parquet, markdown, json, csv }: FigureOptions,
  ifNothingElse?: string,
): Promise<void> {
  const isPrinted = markdown || json || csv;
  const isWritten = charts !== undefined || parquet !== undefined;
  const page = out ?? (isPrinted || isWritten ? undefined : ifNothingElse);
  const { writeCharts, writePage, writeParquet } = await import('../../report/write-report.ts');
  const written = [
    ...(page === undefined ? [] : [await writePage(report, page)]),
    ...(charts === undefined ? [] : await writeCharts(report, charts)),
    ...(parquet === undefined ? [] : [await writeParquet(report, parquet)]),
  ];
  for (const path of written) process[isPrinted ? 'stderr' : 'stdout'].write(`${path}\n`);
}
