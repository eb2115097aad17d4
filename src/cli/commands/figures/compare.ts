import type { Command } from 'commander';
import type { Table as Cells } from '../../../report/charts/chart.ts';
import type { Comparison } from '../../../report/model/report.ts';
import { plain } from '../../terminal/text.ts';
import { addFigureOptions, type FigureOptions, reportFor } from './options.ts';
import { printAs, writeFiles } from './report.ts';

export function registerCompare(program: Command): void {
  addFigureOptions(
    program
      .command('compare')
      .description('Compare the figures of jobs, and what differed in what they ran.')
      .argument('<first>', 'the job, or the file of results, that the others are compared with')
      .argument('<others...>', 'jobs, or files of results')
      .option('-o, --out <file>', 'also write a page with the comparison and the charts of all'),
  )
    .addHelpText(
      'after',
      `
Results match by the parameters of their points and by concurrency and request rate.

Examples:
  srtctl compare 1234567 1234568
  srtctl compare 1234567 latest -o compare.html
  srtctl compare 1234567 profile_export_aiperf.json --gpus 16 --json`,
    )
    .action((first: string, others: string[], options: FigureOptions) =>
      run([first, ...others], options, program.version() ?? ''),
    );
}

async function run(told: readonly string[], options: FigureOptions, version: string): Promise<void> {
  const { comparisonsOf } = await import('../../../report/compare/compare.ts');
  const read = await reportFor(told, options, version);
  const report = { ...read, comparisons: comparisonsOf(read.sources) };
  await printAs(report, options);
  if (!options.json && !options.markdown)
    for (const comparison of report.comparisons) process.stdout.write(await comparisonText(comparison));
  await writeFiles(report, options);
}

async function comparisonText(comparison: Comparison): Promise<string> {
  const { differenceTable, shortTable } = await import('../../../report/compare/tables.ts');
  const { before, after, recipe, environment } = comparison;
  const differences = [...recipe, ...environment];
  return [
    `${plain(before)} → ${plain(after)}`,
    comparison.rows.length === 0 ? 'neither has results' : await tableText(shortTable(comparison)),
    ...(differences.length === 0
      ? ['what ran does not differ']
      : ['what differed in what ran:', await tableText(differenceTable(comparison, differences))]),
    '',
  ].join('\n');
}

/** Widest cell of a value from a recipe. */
const MOST_COLUMNS = 60;

async function tableText({ head, rows }: Cells): Promise<string> {
  const { default: Table } = await import('cli-table3');
  const { cut } = await import('../../terminal/text.ts');
  const table = new Table({ head: head.map(plain), style: { head: [], border: [], compact: true } });
  table.push(
    ...rows.map((row) =>
      row.map((cell) =>
        cell
          .split('\n')
          .map((line) => cut(line, MOST_COLUMNS))
          .join('\n'),
      ),
    ),
  );
  return table.toString();
}
