import { isDeepStrictEqual } from 'node:util';
import type { ProcessSpec } from '../messages/process-spec.ts';

/** What the table holds of one process, as far as the comparison needs it. */
export interface Held {
  readonly key: string;
  readonly spec: ProcessSpec;
  /** It is being stopped already. */
  readonly unwanted: boolean;
}

export interface Difference {
  /** Keys to stop: not wanted any more, or wanted differently. */
  readonly stop: readonly string[];
  readonly keep: readonly string[];
  readonly start: readonly ProcessSpec[];
}

/**
 * Compares what is wanted with what is held. A process whose whole spec is unchanged is left alone, also when it has
 * ended: that it ended is the news, and starting it again would hide it.
 */
export function reconcile(held: readonly Held[], desired: readonly ProcessSpec[]): Difference {
  const keep = new Set<string>();
  const start: ProcessSpec[] = [];
  for (const spec of desired) {
    const same = held.find(
      (entry) => entry.spec.id === spec.id && !entry.unwanted && isDeepStrictEqual(entry.spec, spec),
    );
    if (same) keep.add(same.key);
    else start.push(spec);
  }
  return {
    stop: held.filter((entry) => !entry.unwanted && !keep.has(entry.key)).map((entry) => entry.key),
    keep: [...keep],
    start,
  };
}

/** true when `spec` cannot start while a process of `other` still exists on the node. */
export function inTheWay(spec: ProcessSpec, other: ProcessSpec): boolean {
  if (spec.id === other.id) return true;
  if (spec.gpus.some((gpu) => other.gpus.includes(gpu))) return true;
  const taken = new Set(Object.values(other.ports).filter((port) => port > 0));
  return Object.values(spec.ports).some((port) => taken.has(port));
}
