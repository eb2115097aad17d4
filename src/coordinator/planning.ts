import type { Hello } from '../messages/control.ts';
import type { GpuHolder } from '../messages/gpu-holder.ts';
import type { PlannedPoint, SweepPlan } from '../plan/kinds.ts';
import type { Continuation } from './continuation.ts';
import type { CoordinatorOptions } from './coordinator-options.ts';
import { requireCleanNodes } from './dirty-nodes.ts';
import type { Replacements } from './replacements.ts';
import type { Roster } from './roster.ts';

export interface PlanningOptions extends Pick<CoordinatorOptions, 'onNodes' | 'plan'> {
  readonly roster: Roster;
  readonly replacements: Replacements;
  readonly continuation: Continuation;
  /** Something about a node that the run goes on with. */
  readonly warnOf: (node: string, why: string) => void;
}

/** The plan for the nodes that there are: made when they are known, and again when they are others. */
export class Planning {
  readonly #options: PlanningOptions;
  readonly #gpuHolders = new Map<string, readonly GpuHolder[]>();
  #plan: SweepPlan | undefined;

  constructor(options: PlanningOptions) {
    this.#options = options;
  }

  /** Who holds GPUs on a node, as its agent found it. */
  found({ node, gpuHolders }: Hello): void {
    this.#gpuHolders.set(node, gpuHolders ?? []);
  }

  async make(): Promise<SweepPlan> {
    const { onNodes, plan, replacements, continuation, roster, warnOf } = this.#options;
    const { without } = replacements;
    const addresses = continuation.addresses(roster.addresses);
    await onNodes(addresses, without);
    const made = plan(addresses, without);
    await requireCleanNodes(made, this.#gpuHolders, warnOf);
    this.#plan = made;
    return made;
  }

  point(ordinal: number): PlannedPoint | undefined {
    return this.#plan?.point(ordinal);
  }
}
