import type { Table } from '../charts/chart.ts';
import { differenceTable, shortTable } from '../compare/tables.ts';
import type { Report, Source } from '../model/report.ts';
import { measuredTable } from './measured.ts';
import { accuracyTable, figuresTable, pointsTable } from './tables.ts';

/** A report as Markdown (CommonMark with tables), for an issue or a pull request. */
export function markdownOf(report: Report): string {
  const { sources, comparisons = [], madeAt, srtctl } = report;
  const measured = measuredTable(report);
  const accuracy = accuracyTable(report);
  const parts = [
    `# ${comparisons.length > 0 ? 'Comparison' : 'Report'}: ${escapeMarkdown(sources.map(({ name }) => name).join(', '))}`,
    `Made ${madeAt} by srtctl ${srtctl}.`,
    ...comparisons.flatMap((comparison) => [
      `## ${escapeMarkdown(`${comparison.before} and ${comparison.after}`)}`,
      markdownTable(shortTable(comparison)),
      ...(comparison.recipe.length > 0
        ? ['What differed in the recipes:', markdownTable(differenceTable(comparison, comparison.recipe))]
        : []),
      ...(comparison.environment.length > 0
        ? ['Around it:', markdownTable(differenceTable(comparison, comparison.environment))]
        : []),
    ]),
    '## Figures',
    markdownTable(figuresTable(report)),
    ...(accuracy ? ['## Accuracy', markdownTable(accuracy)] : []),
    ...(measured ? ['## How they were measured', markdownTable(measured)] : []),
    ...sources.flatMap(sourceParts),
  ];
  return `${parts.join('\n\n')}\n`;
}

function sourceParts(source: Source): string[] {
  const about = [
    source.tool,
    source.state,
    ...(source.exitCode === null ? [] : [`exit code ${source.exitCode}`]),
  ];
  return [
    `## ${escapeMarkdown(source.id)}`,
    escapeMarkdown(about.join(', ')),
    ...(source.environment.length > 0
      ? [source.environment.map(([name, value]) => `- ${escapeMarkdown(`${name}: ${value}`)}`).join('\n')]
      : []),
    markdownTable(pointsTable(source)),
  ];
}

function markdownTable({ head, rows, note }: Table): string {
  const line = (cells: readonly string[]): string => `| ${cells.map(escapeMarkdown).join(' | ')} |`;
  const lines = [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)];
  return [lines.join('\n'), ...(note ? [escapeMarkdown(note)] : [])].join('\n\n');
}

/** A text that Markdown shows as it is, on one line. */
const escapeMarkdown = (text: string): string =>
  text.replace(/[\\`*_[\]<>|#~&]/g, (char) => `\\${char}`).replace(/\s*[\r\n\u2028\u2029]+\s*/g, ' ');
