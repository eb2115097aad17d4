import type { Hello } from '../../messages/events/control.ts';
import type { GpuHolder } from '../../messages/spec/gpu-holder.ts';
import type { AgentState } from '../../messages/spec/states.ts';
import type { PlannedPoint, SweepPlan } from '../../model/kinds.ts';
import { requireCleanNodes } from '../agents/dirty-nodes.ts';
import type { Replacements } from '../agents/replacements.ts';
import type { Roster } from '../agents/roster.ts';
import type { PreviousRun } from '../takeover/previous-run.ts';

export interface PlansNodes {
  /** Plans the points when the addresses of the nodes are known. */
  readonly plan: (addresses: ReadonlyMap<string, string>, without: readonly string[]) => SweepPlan;
  /** Called with the nodes before the plan is made for them. Resolves when a successor could read them. */
  readonly onNodes: (addresses: ReadonlyMap<string, string>, without: readonly string[]) => Promise<void>;
}

export interface PlanningOptions extends PlansNodes {
  readonly roster: Roster;
  readonly replacements: Replacements;
  readonly previousRun: PreviousRun;
  readonly record: { warning(node: string, state: AgentState, why: string): void };
}

/** The plan for the job's nodes. Made when the nodes are known, and again when a node has been replaced. */
export class Planning {
  readonly #options: PlanningOptions;
  readonly #gpuHolders = new Map<string, readonly GpuHolder[]>();
  #plan: SweepPlan | undefined;

  constructor(options: PlanningOptions) {
    this.#options = options;
  }

  /** The processes that hold GPUs on a node, as its agent found them. */
  found({ node, gpuHolders }: Hello): void {
    this.#gpuHolders.set(node, gpuHolders ?? []);
  }

  async make(): Promise<SweepPlan> {
    const { onNodes, plan, replacements, previousRun, roster, record } = this.#options;
    const { without } = replacements;
    const addresses = previousRun.addresses(roster.addresses);
    await onNodes(addresses, without);
    const made = plan(addresses, without);
    await requireCleanNodes(made, this.#gpuHolders, (node, why) =>
      record.warning(node, roster.stateOf(node) ?? 'joined', why),
    );
    this.#plan = made;
    return made;
  }

  point(ordinal: number): PlannedPoint | undefined {
    return this.#plan?.point(ordinal);
  }
}
