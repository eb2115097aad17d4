import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { CausedError } from '../../machines/point.ts';
import { agentLogName, jobPaths } from '../../messages/job-directory/files.ts';
import type { JobSpec } from '../../messages/job-directory/job-files.ts';
import type { Cause } from '../../messages/job-directory/result.ts';
import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import { HOST_GROUP, MPI_GROUP } from '../../platform/agent-places.ts';
import type { AgentLaunch, AgentPlace, OnAgentEnd, Platform } from '../../platform/launch/launcher.ts';
import { agentConfigFile } from '../bus-server/credentials.ts';
import type { PreviousRun } from '../takeover/previous-run.ts';
import type { Roster, Supervision } from './roster.ts';

/** Time beyond the lease in which agents of the previous run say hello again. The others are started anew. */
const REJOIN_MS = 5_000;
/** How long an agent whose connection was closed may take to connect again while the job boots, ms. */
const RETURN_MS = 10_000;

export interface AgentsOptions {
  readonly spec: Pick<JobSpec, 'jobDir' | 'jobId'>;
  readonly agents: readonly AgentPlace[];
  readonly platform: Platform;
  readonly roster: Roster;
  readonly previousRun: PreviousRun;
  readonly supervision: Supervision;
  readonly joinTimeoutMs: number;
  /** Nodes beyond what the plan needs. */
  readonly spareNodes: number;
}

/** Starts the agents of the job, and waits for them. */
export class Agents {
  readonly #options: AgentsOptions;
  /** When the connection of each agent was closed, monotonic ms. */
  readonly #closedAt = new Map<string, number>();
  #isBooting = true;
  /** When each agent was started, monotonic ms. */
  readonly #launchedAt = new Map<string, number>();
  /** Agents that were started a second time, alone. */
  readonly #alone = new Set<string>();

  constructor(options: AgentsOptions) {
    this.#options = options;
  }

  /** Starts the agents that do not run. Agents of the previous run say hello again. */
  begin(): void {
    const { agents, platform, previousRun, roster } = this.#options;
    const launches = agents.map((agent) => this.#launchOf(agent));
    previousRun.expect(platform.adoptAgents(previousRun.launched, launches, this.#onEnd));
    const { expected } = previousRun;
    const { nodes } = roster;
    this.launch(agents.filter(({ name }) => nodes.includes(name) && !expected.includes(name)));
  }

  launch(agents: readonly AgentPlace[]): void {
    for (const { name } of agents) this.#launchedAt.set(name, performance.now());
    this.#options.platform.launchAgents(
      agents.map((agent) => this.#launchOf(agent)),
      this.#onEnd,
    );
  }

  /**
   * Resolves when every agent has joined that the job counts on. `replacements` gives up nodes that are lost, or returns
   * why it cannot.
   */
  async joined(replacements: { giveUpLost(): Cause | null }, signal: AbortSignal): Promise<void> {
    const { agents, roster, previousRun, supervision } = this.#options;
    const beganAt = performance.now();
    const rejoin = setTimeout(() => {
      const silent = roster.nodes.filter(
        (name) => previousRun.expected.includes(name) && roster.stateOf(name) === 'expected',
      );
      for (const name of silent) roster.replace(name);
      this.launch(agents.filter(({ name }) => silent.includes(name)));
    }, supervision.leaseMs + REJOIN_MS);
    try {
      await roster.until(() => {
        this.#missClosed();
        this.#missLate(beganAt);
        const cause = replacements.giveUpLost();
        if (cause) throw new CausedError(cause);
        return roster.nodes.every((name) => roster.stateOf(name) === 'joined');
      }, signal);
    } finally {
      clearTimeout(rejoin);
      this.bootEnded();
    }
  }

  /** The boot has ended, well or not: from now on an agent that ends is lost, and is not started anew here. */
  bootEnded(): void {
    this.#isBooting = false;
  }

  /** Each agent has the same time, from its own start; agents of the previous run from `beganAt`. */
  #missLate(beganAt: number): void {
    const { roster, joinTimeoutMs } = this.#options;
    const begunBefore = performance.now() - joinTimeoutMs;
    const late = roster.nodes.filter(
      (name) => roster.stateOf(name) !== 'joined' && (this.#launchedAt.get(name) ?? beganAt) <= begunBefore,
    );
    roster.joinTimeout(joinTimeoutMs, late);
  }

  /** Uses closed connections, because silence is not measured yet and not every launcher reports an agent's end. */
  #missClosed(): void {
    const { roster } = this.#options;
    const now = performance.now();
    const isClosed = (name: string) => roster.stateOf(name) === 'suspect' && roster.hasDied(name);
    for (const name of this.#closedAt.keys()) if (!isClosed(name)) this.#closedAt.delete(name);
    for (const name of roster.nodes.filter(isClosed)) {
      const since = this.#closedAt.get(name) ?? now;
      this.#closedAt.set(name, since);
      if (now - since >= RETURN_MS) roster.joinTimeout(RETURN_MS, [name]);
    }
  }

  readonly #onEnd: OnAgentEnd = (name, reason, how = {}) => {
    const { isShared = false, isOrderly = false, isBeforeHello = false } = how;
    const { agents, previousRun, roster } = this.#options;
    if (isBeforeHello && !this.#isFirst(name)) return;
    const mayTry = this.#isBooting && roster.nodes.includes(name);
    const agent = mayTry ? agents.find((place) => place.name === name) : undefined;
    const isExpected = roster.stateOf(name) === 'expected';
    // An agent of the previous run that has ended meanwhile.
    if (agent && previousRun.giveUp(name) && isExpected) this.launch([agent]);
    else if (agent && isShared && this.#mayTryAlone(name)) {
      this.#alone.add(name);
      if (!isExpected) roster.replace(name);
      this.launch([agent]);
    } else roster.ended(name, `its agent ${reason}`, isOrderly);
  };

  /** true while an agent is awaited that had no other of its name before it, whose late end would be taken for its own. */
  #isFirst(name: string): boolean {
    const { previousRun, roster } = this.#options;
    const isAgain = previousRun.isThere || this.#alone.has(name);
    return this.#isBooting && !isAgain && roster.stateOf(name) === 'expected';
  }

  /** Agents that could not be started together are started alone, to find the one that fails. */
  #mayTryAlone(name: string): boolean {
    return this.#options.spareNodes > 0 && !this.#alone.has(name);
  }

  #launchOf(agent: AgentPlace): AgentLaunch {
    const { spec } = this.#options;
    const { logs } = jobPaths(spec.jobDir, spec.jobId);
    return {
      ...agent,
      configFile: agentConfigFile(spec, agent.name),
      logFile: join(logs, agentLogName(agent.name)),
    };
  }
}

/**
 * The agent on a process's node that runs in the process's image, started with its options; a process without an image gets the first agent. An
 * MPI launch gets the agent for MPI launches, and a command of the host the agent outside of containers, if there is one.
 */
export function agentsByNode(agents: readonly AgentPlace[]): (spec: ProcessSpec) => string {
  const byNode = new Map<string, AgentPlace[]>();
  for (const agent of agents) byNode.set(agent.node, [...(byNode.get(agent.node) ?? []), agent]);
  return ({ node, image, mpi, onHost, srunOptions }) => {
    const here = byNode.get(node) ?? [];
    const isOwn = ({ group }: AgentPlace) =>
      image !== null && group.image === image && isDeepStrictEqual(group.srunOptions, srunOptions);
    const outside = mpi ? MPI_GROUP : onHost ? HOST_GROUP : undefined;
    const own = here.find((agent) => (outside ? agent.group.name === outside : isOwn(agent))) ?? here[0];
    return own?.name ?? node;
  };
}
