import { type ActorRefFrom, createActor } from 'xstate';
import type { Post } from '../../machines/addresses.ts';
import { agentMachine } from '../../machines/agent.ts';
import type { Heartbeat, Hello } from '../../messages/events/control.ts';
import type { Generation } from '../../messages/spec/counters.ts';
import type { AgentState } from '../../messages/spec/states.ts';
import { type SupervisionSettings, supervisionSchema } from '../../recipe/values/supervision.ts';

/** Times by which the coordinator judges its agents, ms. */
export interface Supervision {
  readonly heartbeatMs: number;
  readonly suspectAfterMs: number;
  readonly lostAfterMs: number;
  readonly reconnectMs: number;
  readonly leaseMs: number;
}

export const supervisionOf = (settings: SupervisionSettings): Supervision => ({
  heartbeatMs: Math.round(settings.heartbeat * 1_000),
  suspectAfterMs: Math.round(settings.suspect_after * 1_000),
  lostAfterMs: Math.round(settings.lost_after * 1_000),
  reconnectMs: Math.round(settings.reconnect * 1_000),
  leaseMs: Math.round(settings.lease * 1_000),
});

export const DEFAULT_SUPERVISION: Supervision = supervisionOf(supervisionSchema.parse({}));

/** How often silence is measured, ms. */
const TICK_MS = 250;

interface Member {
  readonly node: string;
  readonly actor: ActorRefFrom<typeof agentMachine>;
  state: AgentState;
  incarnation: string | null;
  address: string | null;
  /** Time of the last heartbeat or hello. */
  heardAt: number;
  /** Of the desired state that the agent obeys. */
  generation: Generation;
  alive: number;
  processEnded: boolean;
  /** The agent's side closed the connection, as it does when the process ends. false for an agent that is only silent. */
  connectionClosed: boolean;
  /** The agent was started by this coordinator, or by none before it, so it runs nothing of a previous run. */
  isNew: boolean;
}

/** Receives the roster's news. */
export interface RosterParts {
  readonly record: {
    agent(node: string, from: AgentState | null, to: AgentState, why: string): void;
    defect(what: string, error: unknown): void;
  };
  readonly post: Pick<Post, 'tell'>;
}

/** All agents of the job: one agent machine for each, fed with hellos, heartbeats and disconnects. */
export class Roster {
  readonly #members = new Map<string, Member>();
  /** Incarnations that were replaced by a new agent, and agents of nodes that the job goes on without. */
  readonly #replaced = new Set<string>();
  readonly #retired = new Set<string>();
  readonly #supervision: Supervision;
  /** A shorter silence changes no agent's state. */
  readonly #leastSilenceMs: number;
  readonly #parts: RosterParts;
  readonly #now: () => number;
  readonly #listeners = new Set<() => void>();
  #waking = false;
  #timer: NodeJS.Timeout | undefined;
  #tickedAt = 0;
  #isClosed = false;

  constructor(nodes: readonly string[], supervision: Supervision, parts: RosterParts, now: () => number) {
    this.#supervision = supervision;
    const { suspectAfterMs, lostAfterMs, reconnectMs } = supervision;
    this.#leastSilenceMs = Math.min(suspectAfterMs, lostAfterMs, reconnectMs);
    this.#parts = parts;
    this.#now = now;
    for (const node of nodes) this.#members.set(node, this.#createMember(node));
  }

  /** Names of the agents that the job still counts on. */
  get nodes(): string[] {
    return [...this.#members.keys()].filter((node) => !this.#retired.has(node));
  }

  get replaced(): string[] {
    return [...this.#replaced];
  }

  /** Agents that took the place of a previous run's agents: the processes on their nodes are gone. */
  get newcomers(): string[] {
    return this.nodes.filter((node) => this.#members.get(node)?.isNew);
  }

  /** Agents that are lost. */
  get lost(): string[] {
    return [...this.#members.values()]
      .filter((member) => member.state === 'lost')
      .map((member) => member.node);
  }

  /** Why the agent is in its present state. */
  whyOf(node: string): string {
    return this.#members.get(node)?.actor.getSnapshot().context.why ?? '';
  }

  stateOf(node: string): AgentState | undefined {
    return this.#members.get(node)?.state;
  }

  /** Address of each agent that has said hello. */
  get addresses(): Map<string, string> {
    return new Map(
      [...this.#members.values()].flatMap(({ node, address }) => (address === null ? [] : [[node, address]])),
    );
  }

  /** Begins to measure silence. `isBusUp`: while the bus is away no agent can be heard, so silence does not count. */
  watch(isBusUp: () => boolean): void {
    this.#tickedAt = this.#now();
    for (const member of this.#members.values()) member.heardAt = this.#tickedAt;
    clearInterval(this.#timer);
    this.#timer = setInterval(() => {
      const now = this.#now();
      // The coordinator's own lag does not count, because heartbeats may wait in a socket that it has not read.
      const lag = Math.max(0, now - this.#tickedAt - TICK_MS);
      this.#tickedAt = now;
      for (const member of this.#members.values()) {
        if (!isBusUp()) member.heardAt = now;
        else member.heardAt = Math.min(now, member.heardAt + lag);
        const ms = now - member.heardAt;
        // Shorter silence is passed over, because 1,000 agents would make 1,000 useless events each tick.
        if (ms >= this.#leastSilenceMs) member.actor.send({ type: 'agent.silent', ms });
      }
    }, TICK_MS);
  }

  close(): void {
    clearInterval(this.#timer);
    for (const member of this.#members.values()) member.actor.stop();
  }

  /** The job is over: an agent that has not said hello is not welcome any more. */
  admitNobody(): void {
    this.#isClosed = true;
  }

  hello(message: Hello): 'welcome' | 'unknown' | 'lost' | 'late' {
    const member = this.#members.get(message.node);
    if (!member) return 'unknown';
    if (this.#isClosed && member.state === 'expected') return 'late';
    if (this.#replaced.has(message.incarnation)) return 'lost';
    if (member.state === 'lost' || member.state === 'left') return 'lost';
    // An agent never restarts by itself: of two incarnations the first one counts, unless it was replaced.
    if (member.incarnation !== null && member.incarnation !== message.incarnation) return 'lost';
    if (member.incarnation === null) member.isNew = message.epoch === 0;
    member.incarnation = message.incarnation;
    member.address = message.address;
    member.connectionClosed = false;
    this.#heard(member, message.generation, null);
    member.actor.send({ type: 'agent.hello' });
    this.#reports(message);
    this.#changed();
    return 'welcome';
  }

  heartbeat(message: Heartbeat): void {
    const member = this.#members.get(message.node);
    if (!member || this.#replaced.has(message.incarnation)) return;
    if (member.incarnation !== null && member.incarnation !== message.incarnation) return;
    this.#heard(member, message.generation, message.alive);
    if (member.state !== 'joined') member.actor.send({ type: 'agent.heartbeat' });
    if (message.leaving) member.actor.send({ type: 'agent.left' });
    this.#reports(message);
    this.#changed();
  }

  /** The server's system account: a client's connection ended. `name` is `agent <node> <incarnation>`. */
  disconnected(name: string, reason: string): void {
    for (const member of this.#members.values())
      if (member.incarnation !== null && name === `agent ${member.node} ${member.incarnation}`) {
        member.connectionClosed = !/stale|slow/i.test(reason);
        member.actor.send({ type: 'agent.disconnected', reason });
      }
  }

  /**
   * The launcher saw the agent's process end. The agent's guard has killed its processes. `isOrderly`: the agent itself
   * has ended all its processes, even if its goodbye was lost.
   */
  ended(node: string, reason: string, isOrderly = false): void {
    const member = this.#members.get(node);
    if (!member) return;
    member.processEnded = true;
    member.actor.send({ type: 'agent.ended', reason, isOrderly });
    this.#changed();
  }

  /** Agents that the job counts on, and that are lost or have left. */
  get gone(): string[] {
    return this.nodes.filter((node) => ['lost', 'left'].includes(this.#members.get(node)?.state ?? ''));
  }

  /** true for an agent whose process has ended (its node may be well); false for an agent that is only silent. */
  hasDied(node: string): boolean {
    const member = this.#members.get(node);
    return member?.state === 'left' || member?.processEnded === true || member?.connectionClosed === true;
  }

  /** true when no process of a lost agent can run any more: the agent's process has ended, or its lease has expired. */
  isGone(node: string): boolean {
    const member = this.#members.get(node);
    if (!member || member.processEnded || member.incarnation === null || member.state === 'left') return true;
    return member.state === 'lost' && this.#now() - member.heardAt > this.#supervision.leaseMs;
  }

  /** A new agent is started on the node and is expected. Messages of the agent before it are ignored. */
  replace(node: string): void {
    const member = this.#members.get(node);
    if (!member) return;
    if (member.incarnation !== null) this.#replaced.add(member.incarnation);
    member.actor.stop();
    const from = member.state;
    const next = this.#createMember(node);
    this.#members.set(node, next);
    this.#moved(node, from, next.state, 'a new agent is started');
    this.#changed();
  }

  /** The job goes on without this node. */
  retire(node: string): void {
    this.#retired.add(node);
  }

  joinTimeout(ms: number, nodes: readonly string[] = this.nodes): void {
    for (const node of nodes) this.#members.get(node)?.actor.send({ type: 'join.timeout', ms });
  }

  /** Resolves when `holds` is true. Evaluates it after each message, and each tick. */
  async until(holds: () => boolean, signal: AbortSignal): Promise<void> {
    while (!holds()) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        const timer = setTimeout(done, TICK_MS);
        const listeners = this.#listeners;
        function done(): void {
          clearTimeout(timer);
          listeners.delete(done);
          resolve();
        }
        listeners.add(done);
      });
    }
  }

  /** true when every agent that can still hear has acknowledged generation `generation`. */
  isTold(generation: Generation): boolean {
    return this.#everyone((member) => member.state === 'lost' || member.generation >= generation);
  }

  /**
   * true when no process of a generation before `generation` can exist on any node, apart from as many processes as
   * `mayStay` there.
   */
  isClean(generation: Generation, mayStay: (node: string) => number = () => 0): boolean {
    const now = this.#now();
    return this.#everyone((member) =>
      member.state === 'lost'
        ? now - member.heardAt > this.#supervision.leaseMs
        : member.generation >= generation && member.alive <= mayStay(member.node),
    );
  }

  /** true when `holds` is true for every agent that may run processes. */
  #everyone(holds: (member: Member) => boolean): boolean {
    for (const member of this.#members.values()) {
      const isOver = member.state === 'left' || member.processEnded || this.#retired.has(member.node);
      if (!isOver && member.incarnation !== null && !holds(member)) return false;
    }
    return true;
  }

  /** The agents for which `isClean` is not true; for messages. */
  unclean(generation: Generation): string[] {
    return [...this.#members.values()]
      .filter((member) => member.state !== 'left' && (member.generation < generation || member.alive > 0))
      .map((member) => member.node);
  }

  #createMember(node: string): Member {
    const { suspectAfterMs, lostAfterMs, reconnectMs } = this.#supervision;
    const actor = createActor(agentMachine, { input: { node, suspectAfterMs, lostAfterMs, reconnectMs } });
    const member: Member = {
      node,
      actor,
      state: 'expected',
      incarnation: null,
      address: null,
      heardAt: this.#now(),
      generation: 0,
      alive: 0,
      processEnded: false,
      connectionClosed: false,
      isNew: true,
    };
    actor.subscribe({
      next: (snapshot) => {
        const state = snapshot.value as AgentState;
        if (state === member.state) return;
        const from = member.state;
        member.state = state;
        this.#moved(node, from, state, snapshot.context.why);
        this.#changed();
      },
      error: (error) => this.#parts.record.defect(`the machine of agent ${node} broke`, error),
    });
    actor.start();
    return member;
  }

  #reports({ node, processes }: Pick<Hello, 'node' | 'processes'>): void {
    this.#parts.post.tell('fleet', { type: 'agent.reports', node, reports: processes });
  }

  #moved(node: string, from: AgentState, to: AgentState, why: string): void {
    const { record, post } = this.#parts;
    record.agent(node, from, to, why);
    // The job goes on without a node that is retired.
    if ((to !== 'lost' && to !== 'left') || this.#retired.has(node)) return;
    const summary =
      to === 'lost' ? `the agent of ${node} is lost: ${why}` : `the agent of ${node} has ended: ${why}`;
    post.tell('point', { type: 'point.broken', cause: { summary, node } });
  }

  #heard(member: Member, generation: Generation, alive: number | null): void {
    member.heardAt = this.#now();
    member.generation = generation;
    if (alive !== null) member.alive = alive;
  }

  /** Wakes once for all messages of a moment, because each waiter looks at every agent. */
  #changed(): void {
    if (this.#waking || this.#listeners.size === 0) return;
    this.#waking = true;
    setImmediate(() => {
      this.#waking = false;
      for (const listener of [...this.#listeners]) listener();
    });
  }
}
