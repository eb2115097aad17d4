import type { AccuracyResult } from './accuracy-result.ts';

const score = (value: number): string => value.toFixed(4);
const given = (value: number | null, text: (value: number) => string = String): string =>
  value === null ? '' : text(value);

/** The names of an evaluation's figures, in display order. */
export const ACCURACY_HEAD = [
  ...[
    'task',
    'score',
    'stderr',
    'questions',
    'repeats',
    'spread',
    'no answer',
    'truncated',
    'figure',
    'tool',
  ],
] as const;

/** An evaluation's figures for people, as ACCURACY_HEAD names them; empty where the tool does not say one. */
export const accuracyCells = (one: AccuracyResult): string[] => [
  one.task,
  score(one.score),
  given(one.stderr, score),
  given(one.samples),
  String(one.repeats.length),
  given(one.deviation, score),
  given(one.errors),
  given(one.truncated),
  one.metric,
  one.tool,
];
