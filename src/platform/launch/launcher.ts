import type { ProcessName } from '../../os/processes/process-handle.ts';

/** Where the nodes of a job are and how their agents are started: Slurm's srun, or this machine. */
export interface Platform {
  /** IP addresses by node, as far as they are known beforehand: the head's at least. Agents say their own. */
  readonly addresses: ReadonlyMap<string, string>;
  /** `names` where other nodes can look a node up by name (a cluster's host names), else `addresses`. */
  readonly hostNames: 'names' | 'addresses';
  readonly containers: boolean;
  /** The port that a node has in place of one of the plan's (JobContext.port); left out, it has those of the plan. */
  readonly port?: (node: string, planned: number) => number;
  /** What another coordinator needs to hold the same: a block of addresses; null where there is nothing to hold. */
  readonly claim: number | null;
  /** Starts agents. */
  launchAgents(agents: readonly AgentLaunch[], onEnd: OnAgentEnd): void;
  /** Goes on with what a coordinator that was killed has launched. Names the agents whose process still runs. */
  adoptAgents(launched: readonly LaunchedName[], agents: readonly AgentLaunch[], onEnd: OnAgentEnd): string[];
  /** Kills agents that do not answer, where that is possible from here; their guards end what they ran. */
  endAgents(names: readonly string[]): void;
  /** What runs of what was launched. */
  readonly launched: readonly LaunchedName[];
  /**
   * Signals the agents that still run, last of all, and resolves when they have ended. Those of `lost` nodes do not
   * answer, and are not asked: their guards end what they ran.
   */
  stop(lost: readonly string[]): Promise<void>;
  /** Gives back what the platform holds for the job (addresses). */
  release(): Promise<void>;
}

/** Told when an agent's process is seen to end. */
export type OnAgentEnd = (name: string, reason: string, how?: AgentEnd) => void;

export interface AgentEnd {
  /** Others that were started with it have ended in the same moment, and what it ended of may be the fault of one of them. */
  readonly isShared?: boolean;
  /** With exit code 0: an agent ends so when it has ended all that it ran. */
  readonly isOrderly?: boolean;
}

/** A process of the platform, and the agents whose lives hang on it. */
export interface LaunchedName extends ProcessName {
  readonly agents: readonly string[];
}

/** Agents that live in the same container image; of several on a node each has a name of its own. */
export interface AgentPlace {
  /** The node's name, and for a second image `<node>/<group>`. */
  readonly name: string;
  readonly node: string;
  readonly group: AgentGroup;
}

export interface AgentGroup {
  /** '' for the group that is on every node. */
  readonly name: string;
  /** null on a bare host. */
  readonly image: string | null;
}

export interface AgentLaunch extends AgentPlace {
  /** The agent's config (0600): its key and where the bus is. */
  readonly configFile: string;
  /** Takes the agent's own log. */
  readonly logFile: string;
}
