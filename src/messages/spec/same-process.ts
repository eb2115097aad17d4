import { isDeepStrictEqual } from 'node:util';
import { type ProcessSpec, processSpecSchema } from './process-spec.ts';

/**
 * How a process is watched and ended. All of it can change while the process runs, so none of it makes another process
 * of it; whatever else a spec says does. docs/recipes.md lists both for people.
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

/** What makes a process the one that it is, as text: equal for two specs when one process can serve both. */
export const identityOf = (spec: ProcessSpec): string =>
  JSON.stringify(MADE_OF.map((name) => inOrder(spec[name])));

/** true when a process that runs by one spec is what the other asks for. */
export const sameProcess = (a: ProcessSpec, b: ProcessSpec): boolean =>
  a === b || (a.id === b.id && identityOf(a) === identityOf(b));

/** true when a process that is kept has to become ready once more: what it is asked, or what stands behind it, is new. */
export const readyAnew = (before: ProcessSpec, now: ProcessSpec): boolean =>
  before.readyAfter !== now.readyAfter || !isDeepStrictEqual(before.probe, now.probe);

/** Maps are equal in whatever order they were written. */
function inOrder(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.some(isObject) ? value.map(inOrder) : value;
  // As pairs: a map made anew would have names that are numbers first, and takes longer to make.
  return Object.keys(value)
    .sort()
    .map((name) => [name, inOrder((value as Record<string, unknown>)[name])]);
}

const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null;
