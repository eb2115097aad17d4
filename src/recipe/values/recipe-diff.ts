import { isDeepStrictEqual } from 'node:util';

/** A value that differs, and its place. */
export interface Difference {
  /** As in `benchmark.isl`. */
  readonly path: string;
  readonly before: unknown;
  readonly after: unknown;
}

/** The differences between two values, at the deepest level possible. */
export function differences(before: unknown, after: unknown, path = ''): Difference[] {
  if (isDeepStrictEqual(before, after)) return [];
  if (!isMap(before) || !isMap(after)) return [{ path, before, after }];
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return keys.flatMap((key) => differences(before[key], after[key], path === '' ? key : `${path}.${key}`));
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** `benchmark.isl: 64 → 128` */
export const differenceText = ({ path, before, after }: Difference): string =>
  `${path}: ${textOf(before)} → ${textOf(after)}`;

const textOf = (value: unknown): string => {
  if (value === undefined) return '(not there)';
  const text = JSON.stringify(value);
  return text.length > 80 ? `${text.slice(0, 79)}…` : text;
};
