import { isDeepStrictEqual } from 'node:util';
import type { ProcessReport } from '../../messages/events/control.ts';
import type { Generation } from '../../messages/spec/counters.ts';
import type { DeployPhase } from '../../messages/spec/deploy-phases.ts';
import { hasSucceeded, type ProcessSpec } from '../../messages/spec/process-spec.ts';
import { readyAnew, sameProcess } from '../../messages/spec/same-process.ts';
import { hasEnded, type ProcessState } from '../../messages/spec/states.ts';

/** A wanted process, and its last report. */
export interface Known {
  readonly spec: ProcessSpec;
  /** Generation in which this spec was first wanted. An older report is about an earlier process of the same name. */
  readonly since: Generation;
  report: ProcessReport | undefined;
  /** It has been ready, or may have been under the previous coordinator. */
  wasReady: boolean;
  /** Its failure has been handled. */
  hasFailed?: boolean;
}

/** The processes that are wanted, by id. */
export class Wanted {
  #known = new Map<string, Known>();
  /** Specs that were found to be equal. Kept, because comparing hundreds of command lines takes long. */
  readonly #equal = new WeakMap<ProcessSpec, ProcessSpec>();

  get all(): Known[] {
    return [...this.#known.values()];
  }

  get(id: string): Known | undefined {
    return this.#known.get(id);
  }

  /** true for an entry that no later one of the same process has replaced. */
  has(known: Known): boolean {
    return this.#known.get(known.spec.id) === known;
  }

  /** true when exactly this spec is wanted, so that its process may run. */
  isWanted(spec: ProcessSpec): boolean {
    const known = this.#known.get(spec.id)?.spec;
    if (known === undefined || known === spec || this.#equal.get(spec) === known) return known !== undefined;
    const same = isDeepStrictEqual(known, spec);
    if (same) this.#equal.set(spec, known);
    return same;
  }

  ranksOf(endpoint: string): Known[] {
    return this.all.filter(({ spec }) => spec.restartPolicy?.endpoint === endpoint);
  }

  /** These run already, and may have been ready. */
  adopt(specs: readonly ProcessSpec[], since: Generation): void {
    this.#known = new Map(specs.map((spec) => [spec.id, { ...firstAsked(spec, since), wasReady: true }]));
  }

  /** Wants exactly these. A process that goes on keeps its report. */
  become(specs: readonly ProcessSpec[], generation: Generation): void {
    const entries = specs.map((spec) => {
      const known = this.#known.get(spec.id);
      if (known === undefined) return [spec.id, firstAsked(spec, generation)] as const;
      return [spec.id, this.isWanted(spec) ? known : next(known, spec, generation)] as const;
    });
    this.#known = new Map(entries);
  }

  /** Wants a process that starts again. */
  renew(spec: ProcessSpec, generation: Generation): void {
    this.#known.set(spec.id, firstAsked(spec, generation));
  }

  clear(): void {
    this.#known = new Map();
  }
}

export const orderOf = ({ order = 0 }: ProcessSpec): number => order;

/**
 * The phase in which a process must become ready. A router is started with its workers and becomes ready after them, so it
 * is waited for in its own phase.
 */
export const awaitedIn = (spec: ProcessSpec): DeployPhase =>
  spec.role === 'frontend' ? 'frontend' : spec.phase;

/** Whether the run cannot go on without a process that has failed. */
export const isNeeded = ({ spec, wasReady }: Known): boolean =>
  spec.critical || (spec.mustStart === true && !wasReady);

/** A wanted process has ended. Only a process that is expected to end may do so, with exit code 0. */
export const hasFailed = (spec: ProcessSpec, report: ProcessReport): boolean =>
  report.state === 'failed' || (report.state === 'stopped' && !hasSucceeded(spec, report.exitCode));

/** Nothing more has to be waited for before the next phase. */
export function isReady(spec: ProcessSpec, report: ProcessReport | undefined): boolean {
  // A process that is not critical is not waited for after it has failed.
  if (report && !spec.critical && hasFailed(spec, report)) return true;
  const state: ProcessState | undefined = report?.state;
  if (spec.role === 'step') return state === 'stopped';
  const mayStop = spec.terminates || spec.mayEnd === true;
  return state === 'ready' || state === 'degraded' || (mayStop && state === 'stopped');
}

const firstAsked = (spec: ProcessSpec, since: Generation): Known => ({
  spec,
  since,
  report: undefined,
  wasReady: false,
});

/** Gives the process a new spec. Its report is dropped when the process has to become ready once more. */
function next(known: Known, spec: ProcessSpec, generation: Generation): Known {
  if (known.spec === spec) return known;
  if (!sameProcess(known.spec, spec)) return firstAsked(spec, generation);
  const isStale = readyAnew(known.spec, spec) && !(known.report && hasEnded(known.report.state));
  return isStale ? firstAsked(spec, generation) : { ...known, spec };
}
