import type { ServingResult } from '../../messages/job-directory/serving-result.ts';
import { figure, type Table } from '../charts/chart.ts';
import { rowNamer, rowsOf } from '../model/curves.ts';
import type { Report } from '../model/report.ts';

const percent = (share: number | null | undefined): string | undefined =>
  share == null ? undefined : `${(share * 100).toFixed(1)} %`;
const number = (value: number | null | undefined): string | undefined =>
  value == null ? undefined : figure(value);

type Column = readonly [title: string, of: (result: ServingResult) => string | undefined];

/** What was sent, what engines say of it, and how the client did. A result states what its release measures. */
const COLUMNS: readonly Column[] = [
  [
    'steady output tok/s',
    ({ steady }) => (steady && 'fromS' in steady ? number(steady.outputThroughput) : undefined),
  ],
  ['prompt tokens', ({ islReached }) => number(islReached?.mean)],
  ['answer tokens', ({ oslReached }) => number(oslReached?.mean)],
  ['tokens/chunk', ({ tokensPerChunk }) => number(tokensPerChunk)],
  ['asked req/s', ({ requestRate }) => number(requestRate)],
  ['sent req/s', ({ load }) => number(load?.sentRate)],
  ['cache hits', ({ cache }) => percent(cache?.share)],
  ['KV cache mean', ({ engine }) => percent(engine?.kvCacheUsage.mean)],
  ['KV cache max', ({ engine }) => percent(engine?.kvCacheUsage.max)],
  ['engine queue mean', ({ engine }) => number(engine?.queue.mean)],
  ['preemptions', ({ engine }) => number(engine?.preemptions.value)],
  ['accepted tokens/step', ({ engine }) => number(engine?.acceptanceLength.value)],
  ['GPU power (W)', ({ power }) => number(power?.meanW)],
  ['J/output token', ({ power }) => number(power?.joulesPerOutputToken)],
  ['J/request', ({ power }) => number(power?.joulesPerRequest)],
  ['output tok/s/W', ({ power }) => number(power?.outputTokensPerJoule)],
  ['client busy', ({ client }) => percent(client?.busy)],
  ['client late p99 (ms)', ({ client }) => number(client?.delayP99Ms)],
  ['connections', ({ connections }) => connections],
  ['seed', ({ seed }) => (seed === undefined ? undefined : String(seed))],
  [
    'limits changed',
    ({ validity }) => textOf(validity?.changed.map(({ what, limit }) => `${what} ${limit ?? 'off'}`)),
  ],
  ['doubts', ({ validity }) => textOf(validity?.warnings.map(({ text }) => text))],
  ['not judged', ({ validity }) => textOf(validity?.unknown.map(({ what, why }) => `${what}: ${why}`))],
];

const textOf = (lines: readonly string[] | undefined): string | undefined =>
  lines === undefined || lines.length === 0 ? undefined : lines.join('; ');

/** How each result was measured, with the columns that any of them has; undefined without any. */
export function measuredTable(report: Pick<Report, 'sources'>): Table | undefined {
  const rows = rowsOf(report).flatMap((placed) =>
    placed.row.result ? [{ placed, result: placed.row.result }] : [],
  );
  const columns = COLUMNS.filter(([, of]) => rows.some(({ result }) => of(result) !== undefined));
  if (columns.length === 0) return undefined;
  const nameOf = rowNamer(report.sources);
  return {
    head: ['result', ...columns.map(([title]) => title)],
    rows: rows.map(({ placed, result }) => [nameOf(placed), ...columns.map(([, of]) => of(result) ?? '–')]),
    note: '–: the engines, the client or an earlier release do not say.',
  };
}
