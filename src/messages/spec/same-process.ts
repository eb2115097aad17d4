import { isDeepStrictEqual } from 'node:util';
import type { ProcessSpec } from './process-spec.ts';

/**
 * Fields about monitoring and stopping. They can change while the process runs; a change of any other field
 * makes it another process. docs/reference/recipes.md lists both for people.
 */
const WATCHING = new Set<keyof ProcessSpec>([
  'probe',
  'probeEveryMs',
  'order',
  'mustStart',
  'readyAfter',
  'critical',
  'restartPolicy',
  'startTimeoutMs',
  'givesUp',
  'fatalLines',
  'fatalPatterns',
  'endTimeoutMs',
  'graceMs',
  'unhealthyAfterMs',
  'progress',
  'metrics',
]);

/** The identity of a process as text: equal for two specs when one process can serve both. */
export function identityOf(spec: ProcessSpec): string {
  const names = (Object.keys(spec) as (keyof ProcessSpec)[]).sort();
  const isPart = (name: keyof ProcessSpec) => !WATCHING.has(name) && spec[name] !== undefined;
  return JSON.stringify(names.filter(isPart).map((name) => [name, inOrder(spec[name])]));
}

/** Whether a running process with one spec satisfies the other spec. */
export const sameProcess = (a: ProcessSpec, b: ProcessSpec): boolean =>
  a === b || (a.id === b.id && identityOf(a) === identityOf(b));

/**
 * Whether a kept process must become ready once more, because its probe or the processes behind it have
 * changed.
 */
export const readyAnew = (before: ProcessSpec, now: ProcessSpec): boolean =>
  before.readyAfter !== now.readyAfter || !isDeepStrictEqual(before.probe, now.probe);

/** Sorts keys, because maps are equal in any order. */
function inOrder(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.some(isObject) ? value.map(inOrder) : value;
  // Pairs, because an object would put numeric names first, and takes longer to make.
  return Object.keys(value)
    .sort()
    .map((name) => [name, inOrder((value as Record<string, unknown>)[name])]);
}

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null;
