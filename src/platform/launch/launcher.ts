import type { ProcessName } from '../../os/processes/process-handle.ts';

/** The addresses of a job's nodes and the launch of its agents: by Slurm's srun, or on this machine. */
export interface Platform {
  /**
   * IP addresses by node, as far as they are known beforehand: at least the head's. Agents report their own addresses.
   */
  readonly addresses: ReadonlyMap<string, string>;
  /** `names` when other nodes can look a node up by name (a cluster's host names), else `addresses`. */
  readonly hostNames: 'names' | 'addresses';
  readonly containers: boolean;
  /**
   * The port that a node uses for a port of the plan (JobContext.port); when left out, nodes use the ports of the plan.
   */
  readonly port?: (node: string, planned: number) => number;
  /** What a successor needs to hold the same addresses: a block of addresses; null when the platform holds none. */
  readonly claim: number | null;
  launchAgents(agents: readonly AgentLaunch[], onEnd: OnAgentEnd): void;
  /** Takes over the agents of a coordinator that was killed. Returns the agents whose process still runs. */
  adoptAgents(launched: readonly LaunchedName[], agents: readonly AgentLaunch[], onEnd: OnAgentEnd): string[];
  /** Kills agents that do not answer, where the platform can; their guards end their processes. */
  endAgents(names: readonly string[]): void;
  /** The launched processes that still run. */
  readonly launched: readonly LaunchedName[];
  /**
   * Signals the agents that still run, as the last step of a job, and resolves when they have ended. Agents of `lost`
   * nodes do not answer, so stop does not ask them; their guards end their processes.
   */
  stop(lost: readonly string[]): Promise<void>;
  /** Releases what the platform holds for the job (addresses). */
  release(): Promise<void>;
}

/** Called when an agent's process has ended. */
export type OnAgentEnd = (name: string, reason: string, how?: AgentEnd) => void;

export interface AgentEnd {
  /**
   * Other agents that were started with this agent ended at the same moment, so the fault may be that of another agent.
   */
  readonly isShared?: boolean;
  /** The agent ended with exit code 0, which means that it had ended all its processes. */
  readonly isOrderly?: boolean;
  /** Counts only before the agent's hello: afterwards its connection shows its end earlier, and more exactly. */
  readonly isBeforeHello?: boolean;
}

/** A process of the platform, and the agents that end with it. */
export interface LaunchedName extends ProcessName {
  readonly agents: readonly string[];
}

/** An agent's place: a node and a container image. Each of several agents on a node has its own name. */
export interface AgentPlace {
  /** The node's name, and for a second image `<node>/<group>`. */
  readonly name: string;
  readonly node: string;
  readonly group: AgentGroup;
}

export interface AgentGroup {
  /** '' for the group that has an agent on every node. */
  readonly name: string;
  /** null when the agent runs outside of a container. */
  readonly image: string | null;
  /** Options of srun beside those of the recipe. */
  readonly srunOptions?: Readonly<Record<string, string>>;
}

export interface AgentLaunch extends AgentPlace {
  /** The agent's config (0600): its key and the address of the bus. */
  readonly configFile: string;
  /** The file of the agent's own log. */
  readonly logFile: string;
}
