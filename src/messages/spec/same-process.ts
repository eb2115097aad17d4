import { isDeepStrictEqual } from 'node:util';
import { type ProcessSpec, processSpecSchema } from './process-spec.ts';

/**
 * Fields about monitoring and stopping. They can change while the process runs; a change of any other field
 * makes it another process. docs/reference/recipes.md lists both for people.
 */
const WATCHING = new Set<keyof ProcessSpec>([
  'probe',
  'readyAfter',
  'critical',
  'startTimeoutMs',
  'givesUp',
  'fatalLines',
  'endTimeoutMs',
  'graceMs',
  'unhealthyAfterMs',
  'progress',
]);

const MADE_OF = (Object.keys(processSpecSchema.shape) as (keyof ProcessSpec)[]).filter(
  (name) => !WATCHING.has(name),
);

/** The identity of a process as text: equal for two specs when one process can serve both. */
export const identityOf = (spec: ProcessSpec): string =>
  JSON.stringify(MADE_OF.map((name) => inOrder(spec[name])));

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
