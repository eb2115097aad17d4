import type { ServingResult } from '../../messages/job-directory/serving-result.ts';
import { differences } from '../../recipe/values/recipe-diff.ts';
import { loadOf, type Placed, paramsBesideLoad, paramsText, rowsOf } from '../model/curves.ts';
import type { Comparison, Delta, Matched, Row, Source } from '../model/report.ts';

type Figure = readonly [name: string, of: (row: Row) => number | null | undefined, better: Delta['better']];

const FIGURES: readonly Figure[] = [
  ['output tok/s/GPU', (row) => row.outputPerGpu, 'higher'],
  ['tok/s/user', (row) => row.outputPerUser, 'higher'],
  ['output tok/s', (row) => row.outputThroughput, 'higher'],
  ['req/s', (row) => row.requestThroughput, 'higher'],
  ['TTFT median', (row) => row.ttftMs.median, 'lower'],
  ['TTFT p99', (row) => row.ttftMs.p99, 'lower'],
  ['TPOT median', (row) => row.tpotMs.median, 'lower'],
  ['TPOT p99', (row) => row.tpotMs.p99, 'lower'],
  ['E2E median', (row) => row.e2elMs.median, 'lower'],
  ['E2E p99', (row) => row.e2elMs.p99, 'lower'],
  ['failed requests', (row) => row.failed, 'lower'],
];

/** The first source with each later one. */
export function comparisonsOf(sources: readonly Source[]): Comparison[] {
  const [first, ...others] = sources;
  return first ? others.map((other) => comparisonOf(first, other)) : [];
}

function comparisonOf(before: Source, after: Source): Comparison {
  const pairs = pairsOf(rowsOf({ sources: [before] }), rowsOf({ sources: [after] }));
  return {
    ...{ before: before.id, after: after.id },
    rows: pairs.map(matched),
    recipe: recipeDifferences(before, after),
    environment: differences(
      { tool: before.tool, ...Object.fromEntries(before.environment) },
      { tool: after.tool, ...Object.fromEntries(after.environment) },
    ),
  };
}

interface Pair {
  readonly before?: Placed | undefined;
  readonly after?: Placed | undefined;
}

/**
 * Rows match by parameters and load. Where no row matches so and either side has no parameters (another tool has
 * none), a load that is unique on both sides decides.
 */
function pairsOf(before: readonly Placed[], after: readonly Placed[]): Pair[] {
  const byAll = join(before, after, keyOf);
  const isPlain = (rows: readonly Placed[]) => rows.every(({ point }) => point.params === null);
  if (byAll.some((pair) => pair.before && pair.after) || !(isPlain(before) || isPlain(after))) return byAll;
  const once = (rows: readonly Placed[], load: string) =>
    rows.filter(({ row }) => loadOf(row) === load).length === 1;
  return join(before, after, (placed) => {
    const load = loadOf(placed.row);
    return once(before, load) && once(after, load) ? load : `${placed.source.id} ${placed.row.id}`;
  });
}

const keyOf = ({ source, point, row }: Placed): string => {
  const params = paramsBesideLoad(source, point);
  const sorted = Object.entries(params).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([sorted, row.concurrency, row.requestRate]);
};

/** Rows of one key match in their order; the rest of either side stays alone. */
function join(before: readonly Placed[], after: readonly Placed[], key: (placed: Placed) => string): Pair[] {
  const left = new Map<string, Placed[]>();
  for (const placed of after) left.set(key(placed), [...(left.get(key(placed)) ?? []), placed]);
  const pairs: Pair[] = before.map((placed) => ({ before: placed, after: left.get(key(placed))?.shift() }));
  return [...pairs, ...[...left.values()].flat().map((placed) => ({ after: placed }))];
}

function matched({ before, after }: Pair): Matched {
  const one = before ?? after;
  return {
    label: one ? labelOf(one) : '',
    before: before?.row.id ?? null,
    after: after?.row.id ?? null,
    valid: (before?.row.valid ?? true) && (after?.row.valid ?? true),
    notes: before && after ? notesOf(before.row, after.row) : [],
    deltas: FIGURES.flatMap(([figure, of, better]) => {
      const [a, b] = [before, after].map((placed) => (placed ? (of(placed.row) ?? null) : null));
      if (a == null && b == null) return [];
      return [{ figure, before: a ?? null, after: b ?? null, change: changeOf(a, b), better }];
    }),
  };
}

/** Differences in how two rows were measured, as far as both results say it. */
function notesOf({ result: a }: Row, { result: b }: Row): string[] {
  if (!a || !b) return [];
  const both = <T>(
    of: (result: ServingResult) => T | undefined,
    text: (before: T, after: T) => string,
  ): string[] => {
    const [before, after] = [of(a), of(b)];
    return before === undefined || after === undefined || before === after ? [] : [text(before, after)];
  };
  return [
    ...both(
      ({ workload }) => workload?.hash,
      () => 'other prompts',
    ),
    ...both(
      ({ connections }) => connections,
      (before, after) => `connections: ${before}, then ${after}`,
    ),
    ...both(
      ({ requests }) => requests,
      (before, after) => `${before} requests, then ${after}`,
    ),
  ];
}

const labelOf = ({ source, point, row }: Placed): string =>
  [paramsText(paramsBesideLoad(source, point)), loadOf(row)].filter(Boolean).join(' ');

const changeOf = (before: number | null | undefined, after: number | null | undefined): number | null =>
  before == null || after == null || before === 0 ? null : after / before - 1;

/** What differs in the recipes, beside the paths that a sweep changes on either side. */
function recipeDifferences(before: Source, after: Source) {
  if (before.recipe === null || after.recipe === null) return [];
  const own = differences(before.recipe, after.recipe);
  const [a, b] = [before.varied.join(', '), after.varied.join(', ')];
  return a === b ? own : [...own, { path: 'paths that the sweep changes', before: a, after: b }];
}

/** Whether a change is for the better; undefined when it is none. */
export function isBetter({ change, better }: Delta): boolean | undefined {
  if (change === null || change === 0) return undefined;
  return better === 'higher' ? change > 0 : change < 0;
}

/** `+12.3 %` */
export const changeText = ({ change }: Delta): string =>
  change === null ? '–' : `${change > 0 ? '+' : ''}${(change * 100).toFixed(1)} %`;
