import type { Logger } from 'pino';
import type { Cause } from '../../messages/job-directory/result.ts';
import type { AgentPlace, Platform } from '../../platform/launch/launcher.ts';
import type { Roster, Supervision } from './roster.ts';

/** The number of failed new agents after which the node itself is considered faulty. */
const MOST_PER_NODE = 3;
/** A silent node may be gone for good, so its new agent has at most this time to join, ms. */
const SILENT_JOIN_MS = 60_000;
/** Time beyond the lease in which the processes of a lost agent end. */
const GONE_MS = 5_000;

export interface ReplacementsOptions {
  readonly roster: Roster;
  readonly platform: Platform;
  /** The first is the head's. */
  readonly agents: readonly AgentPlace[];
  readonly supervision: Supervision;
  /** Whether new agents are started at all (`supervision.relaunch_agents`). */
  readonly relaunchAgents: boolean;
  readonly joinTimeoutMs: number;
  /** Nodes beyond what the plan needs. */
  readonly spareNodes: number;
  /** Nodes that the previous run had given up. */
  readonly without: readonly string[];
  readonly launcher: { launch(agents: readonly AgentPlace[]): void };
  readonly log: Logger;
}

/** Replaces agents that are gone, by a new agent on the same node or by a spare node. */
export class Replacements {
  readonly #options: ReplacementsOptions;
  readonly #launches = new Map<string, number>();
  readonly #without = new Set<string>();

  constructor(options: ReplacementsOptions) {
    this.#options = options;
    for (const node of options.without) this.#giveUp(node);
  }

  /** Nodes that the job goes on without. */
  get without(): readonly string[] {
    return [...this.#without];
  }

  /** true when a node is lost and a spare node can replace it. The head node can only get a new agent. */
  get hasSpareForLost(): boolean {
    const { gone } = this.#options.roster;
    const lost = new Set(gone.map((name) => this.#nodeOf(name)));
    const isHeadLost = gone.some((name) => this.#isHead(this.#nodeOf(name)) && !this.#isWorthLaunching(name));
    return lost.size > 0 && lost.size <= this.#spares && !isHeadLost;
  }

  /** true when a failed point may be tried again on a spare node. Each time costs a spare, so this comes to an end. */
  canReplaceLost({ lostBefore }: { readonly lostBefore: boolean }): boolean {
    const { roster, spareNodes } = this.#options;
    return spareNodes > 0 && (this.hasSpareForLost || (lostBefore && roster.gone.length === 0));
  }

  get #spares(): number {
    return this.#options.spareNodes - this.#without.size;
  }

  /**
   * While the job boots: gives up each node that has lost an agent, as long as there is a spare node. A new agent is not
   * tried, because nothing has run yet that would make the node better than a spare one. Returns the cause when no spare
   * node is left.
   */
  giveUpLost(): Cause | null {
    const { roster } = this.#options;
    const came = roster.addresses;
    // First the agents that never came, because one of them may have made the others end.
    const [others, silent] = partition(roster.gone, (name) => came.has(name));
    for (const name of [...silent, ...others]) {
      const node = this.#nodeOf(name);
      // Its other agents are gone with the node.
      if (this.#without.has(node)) continue;
      const refused = this.#replaceNode(node, `the agent of ${name} is lost: ${roster.whyOf(name)}`);
      if (refused) return refused;
    }
    return null;
  }

  /**
   * Makes sure that every node has an agent. To be called while no process is wanted.
   * Resolves with the cause when a node is lost for good and no spare node is left.
   */
  async restore(signal: AbortSignal): Promise<Cause | null> {
    const { roster } = this.#options;
    const [worth, lost] = partition(roster.gone, (name) => this.#isWorthLaunching(name));
    const still = [...lost, ...(await this.#relaunch(worth, signal))];
    for (const node of new Set(still.map((name) => this.#nodeOf(name)))) {
      const refused = this.#replaceNode(node, `node ${node} is lost`);
      if (refused) return refused;
    }
    return null;
  }

  /** Returns the cause when no other node can take its place: `what` has happened, and why the run ends. */
  #replaceNode(node: string, what: string): Cause | null {
    if (this.#isHead(node))
      return { summary: `${what}; ${node} is the head node, without which the run cannot go on`, node };
    if (this.#spares <= 0) return { summary: `${what}; there is no spare node in its place`, node };
    this.#giveUp(node);
    this.#options.log.warn({ node, what, spares: this.#spares }, 'goes on without a node');
    return null;
  }

  /** A silent node is given up when there is a spare node; without one it gets a new agent. */
  #isWorthLaunching(name: string): boolean {
    const { relaunchAgents, roster } = this.#options;
    if (!relaunchAgents || (this.#launches.get(name) ?? 0) >= MOST_PER_NODE) return false;
    return roster.hasDied(name) || this.#spares <= 0 || this.#isHead(this.#nodeOf(name));
  }

  /** Resolves to the agents that did not join. */
  async #relaunch(names: readonly string[], signal: AbortSignal): Promise<string[]> {
    const { roster, platform, agents, supervision, joinTimeoutMs, launcher } = this.#options;
    if (names.length === 0) return [];
    const silent = names.some((name) => !roster.hasDied(name));
    platform.endAgents(names);
    const gone = AbortSignal.any([signal, AbortSignal.timeout(supervision.leaseMs + GONE_MS)]);
    await roster.until(() => names.every((name) => roster.isGone(name)), gone).catch(() => undefined);
    signal.throwIfAborted();
    const ready = names.filter((name) => roster.isGone(name));
    for (const name of ready) {
      this.#launches.set(name, (this.#launches.get(name) ?? 0) + 1);
      roster.replace(name);
      const agent = agents.find((place) => place.name === name);
      if (agent) launcher.launch([agent]);
    }
    const joinMs = silent ? Math.min(joinTimeoutMs, SILENT_JOIN_MS) : joinTimeoutMs;
    const timer = setTimeout(() => roster.joinTimeout(joinMs, ready), joinMs);
    const isSettled = (name: string) => !['expected', 'suspect'].includes(roster.stateOf(name) ?? '');
    try {
      await roster.until(() => ready.every(isSettled), signal);
    } finally {
      clearTimeout(timer);
    }
    return names.filter((name) => roster.stateOf(name) !== 'joined');
  }

  #giveUp(node: string): void {
    const { agents, roster } = this.#options;
    this.#without.add(node);
    for (const { name } of agents.filter((agent) => agent.node === node)) roster.retire(name);
  }

  /** The head node runs the coordinator and nats-server, so no other node can take its place. */
  #isHead(node: string): boolean {
    return node === this.#options.agents[0]?.node;
  }

  #nodeOf(name: string): string {
    return this.#options.agents.find((agent) => agent.name === name)?.node ?? name;
  }
}

function partition<T>(items: readonly T[], holds: (item: T) => boolean): [T[], T[]] {
  return [items.filter(holds), items.filter((item) => !holds(item))];
}
