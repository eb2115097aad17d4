import { isDeepStrictEqual } from 'node:util';
import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import { sameProcess } from '../../messages/spec/same-process.ts';

/** The table's data about one process that the comparison needs. */
export interface Held {
  readonly key: string;
  readonly spec: ProcessSpec;
  /** It is already being stopped. */
  readonly unwanted: boolean;
}

export interface Difference {
  /** Keys to stop: no longer wanted, or wanted as another process. */
  readonly stop: readonly string[];
  readonly keep: readonly string[];
  /** Entries of `keep` with new monitoring. */
  readonly change: readonly { readonly key: string; readonly spec: ProcessSpec }[];
  readonly start: readonly ProcessSpec[];
}

/**
 * Compares the desired state with the table. A process with the same identity (same-process.ts) is kept, even
 * when it has ended, because its end must be reported, and a restart would hide it.
 */
export function reconcile(held: readonly Held[], desired: readonly ProcessSpec[]): Difference {
  const keep = new Set<string>();
  const change: { key: string; spec: ProcessSpec }[] = [];
  const start: ProcessSpec[] = [];
  for (const spec of desired) {
    const same = held.find(
      (entry) => entry.spec.id === spec.id && !entry.unwanted && sameProcess(entry.spec, spec),
    );
    if (same) keep.add(same.key);
    else start.push(spec);
    if (same && !isDeepStrictEqual(same.spec, spec)) change.push({ key: same.key, spec });
  }
  return {
    stop: held.filter((entry) => !entry.unwanted && !keep.has(entry.key)).map((entry) => entry.key),
    keep: [...keep],
    change,
    start,
  };
}

/** Whether `spec` cannot start while a process of `other`, which is wanted or not, still exists on the node. */
export function inTheWay(spec: ProcessSpec, other: ProcessSpec, isWanted = false): boolean {
  if (spec.id === other.id) return true;
  const share = isWanted && spec.sharesGpus !== undefined && spec.sharesGpus === other.sharesGpus;
  if (!share && spec.gpus.some((gpu) => other.gpus.includes(gpu))) return true;
  const taken = new Set(Object.values(other.ports).filter((port) => port > 0));
  return Object.values(spec.ports).some((port) => taken.has(port));
}
