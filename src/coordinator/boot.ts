import type { SweepPlan } from '../model/kinds.ts';
import type { AgentMessages } from './agents/agent-messages.ts';
import type { Agents } from './agents/agents.ts';
import type { Clocks } from './agents/clocks.ts';
import type { LeaseSender } from './agents/lease-sender.ts';
import type { Replacements } from './agents/replacements.ts';
import type { Roster } from './agents/roster.ts';
import type { CoordinatorBus } from './bus-server/coordinator-bus.ts';
import { writeCredentials } from './bus-server/credentials.ts';
import type { CoordinatorOptions } from './coordinator-options.ts';
import type { Fleet } from './fleet/fleet.ts';
import type { JobRecord } from './record/job-record.ts';
import { ofAttempt } from './sweep/attempt.ts';
import type { HostSetup } from './sweep/host-setup.ts';
import type { Planning } from './sweep/planning.ts';
import type { Points } from './sweep/points.ts';
import type { PreviousRun } from './takeover/previous-run.ts';

export interface BootParts {
  readonly options: CoordinatorOptions;
  readonly previousRun: PreviousRun;
  readonly bus: CoordinatorBus;
  readonly record: JobRecord;
  readonly roster: Roster;
  readonly fleet: Fleet;
  readonly agents: Agents;
  readonly replacements: Replacements;
  readonly planning: Planning;
  readonly points: Points;
  readonly clocks: Clocks;
  readonly messages: AgentMessages;
  readonly lease: LeaseSender;
  readonly hostSetup: Pick<HostSetup, 'begin'>;
}

/** Brings the job up to its first point: the bus is open, every agent has joined, the points are planned. */
export class Boot {
  readonly #parts: BootParts;

  constructor(parts: BootParts) {
    this.#parts = parts;
  }

  /** Resolves with a summary of the boot, for people. */
  async run(signal: AbortSignal): Promise<string> {
    try {
      return await this.#run(signal);
    } finally {
      this.#parts.agents.bootEnded();
    }
  }

  async #run(signal: AbortSignal): Promise<string> {
    const { options, previousRun, bus, record, roster, fleet, agents } = this.#parts;
    const { replacements, planning, points, clocks, messages, lease, hostSetup } = this.#parts;
    await writeCredentials(options);
    signal.throwIfAborted();
    // Agents take longer to load than the bus takes to open, and say hello until they are answered.
    agents.begin();
    await bus.open(signal);
    record.booting(
      previousRun.isThere ? `the coordinator was started again (epoch ${options.epoch})` : 'submitted',
    );
    await points.begin(previousRun.results, { announce: !previousRun.isThere });
    clocks.begin();
    messages.subscribe();
    await bus.watchDisconnects(roster, signal);
    signal.throwIfAborted();
    lease.begin();
    const earlier = replacements.without;
    await agents.joined(replacements, signal);
    const { without } = replacements;
    const plan = await planning.make();
    const lost = without.filter((node) => !earlier.includes(node));
    adopt({ previousRun, fleet }, plan, [...lost, ...roster.newcomers]);
    // Silence counts from now on, because the first agents may be late with a heartbeat while all of them load.
    roster.watch(() => bus.status.connected);
    await hostSetup.begin(plan, signal);
    return without.length === 0 ? 'every agent has joined' : `goes on without ${without.join(', ')}`;
  }
}

/**
 * The processes of the point that was running stay as they are. The point fails when an agent is `gone` with its
 * processes, because a new agent or another node has replaced the agent.
 */
export function adopt(
  parts: {
    readonly previousRun: Pick<PreviousRun, 'running' | 'lostAgent'>;
    readonly fleet: Pick<Fleet, 'adopt' | 'wasReported'>;
  },
  plan: Pick<SweepPlan, 'point'>,
  [gone]: readonly string[],
): void {
  const { previousRun, fleet } = parts;
  const { running } = previousRun;
  const point = running && plan.point(running.ordinal);
  if (!point) return;
  if (gone !== undefined) previousRun.lostAgent(gone);
  const { processes } = ofAttempt(point, running.attempt);
  fleet.adopt(processes.filter((spec) => fleet.wasReported(spec)));
}
