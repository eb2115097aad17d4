import type { Logger } from 'pino';
import type { PointOutcome } from '../../machines/point.ts';
import type { Cause } from '../../messages/job-directory/result.ts';
import { EXIT } from '../../os/errors.ts';
import type { SteadyClock } from '../../os/steady-clock.ts';
import type { Replacements } from '../agents/replacements.ts';
import type { Roster } from '../agents/roster.ts';
import type { PreviousRun } from '../takeover/previous-run.ts';
import type { Deployment } from './deployment.ts';
import type { Planning } from './planning.ts';
import type { Points } from './points.ts';
import type { TimeBudget } from './time-budget.ts';

export interface PointGateOptions {
  readonly roster: Roster;
  readonly replacements: Replacements;
  readonly timeBudget: TimeBudget;
  readonly previousRun: PreviousRun;
  readonly planning: Pick<Planning, 'point'> & { make(): Promise<unknown> };
  readonly points: Pick<Points, 'run'>;
  readonly deployment: () => Deployment | undefined;
  /** Nodes beyond what the plan needs. */
  readonly spareNodes: number;
  readonly clock: SteadyClock;
  /** Aborted when the run is to end early. */
  readonly stopping: AbortSignal;
  readonly interrupt: (why: string, exitCode: number) => void;
  /** Something is gone that the run cannot do without. */
  readonly crippled: (cause: Cause) => void;
  readonly log: Logger;
}

/** Whether a point may begin, with all that has to be there for it; and whether it begins again for a node that it lost. */
export class PointGate {
  readonly #options: PointGateOptions;
  /** The point that runs is tried again for a node that it lost, whatever the sweep's policy. */
  #triesForLost = false;
  /** It goes on under this coordinator and has failed of a node that was lost before; another is in its place. */
  #lostMeanwhile = false;

  constructor(options: PointGateOptions) {
    this.#options = options;
  }

  /** `attempt` counts those of the sweep's policy; those for lost nodes come on top. */
  async run(ordinal: number, attempt: number): Promise<PointOutcome> {
    const { timeBudget, log } = this.#options;
    for (;;) {
      const refused = await this.#refuse(ordinal);
      if (refused) return refused;
      const startedAt = performance.now();
      const outcome = await this.#runOnce(ordinal, attempt);
      if (outcome.status === 'done') timeBudget.took(performance.now() - startedAt);
      if (outcome.status !== 'failed' || !this.#triesForLost) return outcome;
      log.warn({ ordinal, cause: outcome.cause?.summary }, 'tries the point again: it lost a node');
    }
  }

  /** Whether a failed point is tried again on a spare node. Each time costs one, so that it comes to an end. */
  triesForLostNode(): boolean {
    const { spareNodes, replacements, roster, stopping } = this.#options;
    const isReplaced = replacements.hasSpareForLost || (this.#lostMeanwhile && roster.gone.length === 0);
    this.#triesForLost = spareNodes > 0 && isReplaced && !stopping.aborted;
    return this.#triesForLost;
  }

  /** Whether there is time for the point, and an agent on each node. Resolves with its outcome when it cannot run. */
  async #refuse(ordinal: number): Promise<PointOutcome | null> {
    const { timeBudget, clock, previousRun, crippled, interrupt } = this.#options;
    const { planning, replacements, roster, stopping } = this.#options;
    const refused: PointOutcome = { status: 'interrupted', cause: null, result: null };
    // No point was there to hear of it.
    if (stopping.aborted) return refused;
    // One that runs already has had its answer.
    if (previousRun.isRunning(ordinal)) return null;
    const tooLate = timeBudget.refuses(ordinal, clock.now());
    if (tooLate !== null) {
      interrupt(tooLate, EXIT.outOfTime);
      return refused;
    }
    if (roster.gone.length === 0) return null;
    try {
      const cause = await replacements.restore(stopping);
      if (cause) crippled(cause);
      if (cause) return refused;
      await planning.make();
      return stopping.aborted ? refused : null;
    } catch (error) {
      // Who is told to stop is not waiting for agents any more.
      if (stopping.aborted) return refused;
      throw error;
    }
  }

  async #runOnce(ordinal: number, attempt: number): Promise<PointOutcome> {
    const { planning, points, previousRun } = this.#options;
    const point = planning.point(ordinal);
    const deployment = this.#options.deployment();
    if (!point || !deployment) throw new Error(`no point ${ordinal}`);
    this.#triesForLost = false;
    const before = previousRun.goOn(ordinal);
    this.#lostMeanwhile = previousRun.hasFailedMeanwhile(before);
    return points.run(point, { isFirst: attempt === 1, before }, deployment);
  }
}
