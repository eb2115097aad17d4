import type { Series, TelemetrySamples, TelemetrySeries } from '../messages/events/telemetry.ts';

/** A series of an agent with its value now. */
export interface LiveSeries extends Readonly<Series> {
  /** Name of the agent. */
  readonly node: string;
}

interface AgentSeries {
  readonly incarnation: string;
  readonly series: Map<number, LiveSeries>;
  /** When the last batch was taken, ms since 1970. */
  at: number;
}

/**
 * What all agents measure now, for a reader of the bus or of their logs. It may begin to read at any time: a series is
 * known from its description on, which comes within 30 s.
 */
export class AllLiveSeries {
  readonly #agents = new Map<string, AgentSeries>();

  /** Takes a message `telemetry.series`. */
  describe({ node, incarnation, at, series }: TelemetrySeries): void {
    const agent = this.#agentOf(node, incarnation);
    for (const each of series) agent.series.set(each.id, { ...each, node });
    agent.at = Math.max(agent.at, at);
  }

  /** Takes a message `telemetry.samples`. Values of series that are not described yet are left out. */
  sample({ node, incarnation, at, samples }: TelemetrySamples): void {
    const agent = this.#agentOf(node, incarnation);
    agent.at = Math.max(agent.at, at);
    for (const [first, ...values] of samples)
      values.forEach((value, offset) => {
        const id = first + offset;
        const known = agent.series.get(id);
        if (value === null) agent.series.delete(id);
        else if (known) agent.series.set(id, { ...known, value });
      });
  }

  /** All series of agents that have sent a batch since `since`, ms since 1970. */
  *all(since = 0): Generator<LiveSeries> {
    for (const { at, series } of this.#agents.values()) if (at >= since) yield* series.values();
  }

  /** When an agent took its last batch, ms since 1970; undefined before its first one. */
  lastOf(node: string): number | undefined {
    return this.#agents.get(node)?.at;
  }

  /** An agent that was started again has other ids. */
  #agentOf(node: string, incarnation: string): AgentSeries {
    const known = this.#agents.get(node);
    if (known?.incarnation === incarnation) return known;
    const agent: AgentSeries = { incarnation, series: new Map(), at: 0 };
    this.#agents.set(node, agent);
    return agent;
  }
}
