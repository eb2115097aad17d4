import type { Attempt, GateAnswer } from '../../machines/sweep-context.ts';
import type { PlannedPoint } from '../../model/kinds.ts';
import { EXIT } from '../../os/errors.ts';
import type { SteadyClock } from '../../os/steady-clock.ts';
import type { Replacements } from '../agents/replacements.ts';
import type { Roster } from '../agents/roster.ts';
import type { PreviousRun } from '../takeover/previous-run.ts';
import type { Planning } from './planning.ts';
import type { Before } from './point-run.ts';
import type { TimeBudget } from './time-budget.ts';

export interface PointGateOptions {
  readonly roster: Pick<Roster, 'gone'>;
  readonly replacements: Pick<Replacements, 'restore'>;
  readonly timeBudget: Pick<TimeBudget, 'refuses'>;
  readonly previousRun: Pick<PreviousRun, 'isRunning' | 'goOn' | 'hasFailedMeanwhile'>;
  readonly planning: Pick<Planning, 'point'> & { make(): Promise<unknown> };
  readonly runs: { begin(point: PlannedPoint, before: Before): Attempt };
  readonly clock: Pick<SteadyClock, 'now'>;
}

/** Lets a point begin when there is time for it and an agent on each node. Replaces agents that are gone. */
export class PointGate {
  readonly #options: PointGateOptions;

  constructor(options: PointGateOptions) {
    this.#options = options;
  }

  async open(ordinal: number, signal: AbortSignal): Promise<GateAnswer> {
    const { previousRun, planning, runs } = this.#options;
    // A point that already runs has passed the gate of the previous coordinator.
    const refused = previousRun.isRunning(ordinal) ? null : await this.#refuse(ordinal, signal);
    if (refused) return refused;
    signal.throwIfAborted();
    const planned = planning.point(ordinal);
    if (!planned) throw new Error(`no point ${ordinal}`);
    const point = previousRun.goOn(ordinal);
    const before = { point, lostAgent: previousRun.hasFailedMeanwhile(point) };
    return { kind: 'opens', attempt: runs.begin(planned, before) };
  }

  async #refuse(ordinal: number, signal: AbortSignal): Promise<GateAnswer | null> {
    const { timeBudget, clock, roster, replacements, planning } = this.#options;
    const why = timeBudget.refuses(ordinal, clock.now());
    if (why !== null) return { kind: 'too late', why, exitCode: EXIT.outOfTime };
    if (roster.gone.length === 0) return null;
    const cause = await replacements.restore(signal);
    if (cause) return { kind: 'crippled', cause };
    await planning.make();
    return null;
  }
}
