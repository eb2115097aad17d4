import type { Logger } from 'pino';
import type { Cause } from '../../messages/job-directory/result.ts';
import type { AgentPlace, Platform } from '../../platform/launch/launcher.ts';
import type { Roster, Supervision } from './roster.ts';

/** New agents on one node, after which it is the node that is to blame. */
const MOST_PER_NODE = 3;
/** A node that is only silent may be gone: its agent has no longer to join than this, ms. */
const SILENT_JOIN_MS = 60_000;
/** Beyond the lease, for the end of what a lost agent ran. */
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
  /** Nodes that an earlier coordinator had given up. */
  readonly without: readonly string[];
  readonly launch: (agent: AgentPlace) => void;
  readonly log: Logger;
}

/** What becomes of nodes whose agents are gone: a new agent, or another node in their place. */
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

  /** true when a node is lost, and there is another one for it; for the head's there is none but a new agent. */
  get hasSpareForLost(): boolean {
    const { gone } = this.#options.roster;
    const lost = new Set(gone.map((name) => this.#nodeOf(name)));
    const isHeadLost = gone.some((name) => this.#isHead(this.#nodeOf(name)) && !this.#isWorthLaunching(name));
    return lost.size > 0 && lost.size <= this.#spares && !isHeadLost;
  }

  get #spares(): number {
    return this.#options.spareNodes - this.#without.size;
  }

  /**
   * While the job boots: a node of which an agent is lost is done without, as long as there is another one in its place.
   * No new agent is tried: nothing has run yet that would make its node better than a spare one. Returns the cause when
   * there is none.
   */
  giveUpLost(): Cause | null {
    const { roster } = this.#options;
    const came = roster.addresses;
    // First who never came: when several end together, the others may have ended of that one.
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
   * Sees to it that every node has an agent. To be called while nothing is wanted of anybody.
   * Resolves with the cause when a node is lost for good and there is no other.
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

  /** Returns the cause when there is no other node in its place: `what` has happened, and why that is the end. */
  #replaceNode(node: string, what: string): Cause | null {
    if (this.#isHead(node))
      return { summary: `${what}; ${node} is the head node, without which the run cannot go on`, node };
    if (this.#spares <= 0) return { summary: `${what}; there is no spare node in its place`, node };
    this.#giveUp(node);
    this.#options.log.warn({ node, what, spares: this.#spares }, 'goes on without a node');
    return null;
  }

  /** A node that is only silent is given up when there is another one; without, it is tried. */
  #isWorthLaunching(name: string): boolean {
    const { relaunchAgents, roster } = this.#options;
    if (!relaunchAgents || (this.#launches.get(name) ?? 0) >= MOST_PER_NODE) return false;
    return roster.hasDied(name) || this.#spares <= 0 || this.#isHead(this.#nodeOf(name));
  }

  /** Resolves to those that did not come. */
  async #relaunch(names: readonly string[], signal: AbortSignal): Promise<string[]> {
    const { roster, platform, agents, supervision, joinTimeoutMs, launch } = this.#options;
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
      if (agent) launch(agent);
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

  /** The coordinator is there, with nats-server: no other node can take its place. */
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
