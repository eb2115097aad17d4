import { statSync } from 'node:fs';
import type { ActorRefFrom } from 'xstate';
import type { ProcessMachine } from '../../machines/process.ts';
import type { Generation } from '../../messages/spec/counters.ts';
import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import type { ProcessState } from '../../messages/spec/states.ts';
import type { Guard } from '../../os/processes/guard.ts';
import type { Marker } from '../../os/processes/owner-mark.ts';
import type { Segments } from '../leftovers/shared-memory.ts';
import type { Beyond, CommandBuilder } from '../start/launch.ts';
import type { OpenLog } from '../start/prepare.ts';
import type { Spawner } from '../start/spawn.ts';

/** A state change of one process, before it is published. */
export interface Transition {
  readonly spec: ProcessSpec;
  readonly from: ProcessState | null;
  readonly to: ProcessState;
  readonly why: string;
  readonly pid: number | null;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly generation: Generation;
  /** Byte of the log file where its output starts. */
  readonly logFrom: number;
  /** The log's size when the process was stopped; later output is about the shutdown. */
  readonly logTo?: number;
}

/** The table's data about one start of a process. */
export interface Entry {
  readonly key: string;
  spec: ProcessSpec;
  generation: Generation;
  readonly mark: string;
  /** Unique among the agent's starts; a part of the mark that the process cannot lose. */
  readonly number: number;
  actor: ActorRefFrom<ProcessMachine>;
  state: ProcessState;
  why: string;
  unwanted: boolean;
  /** The process group, from the spawn until no part of it is left. */
  group: number | null;
  /** The parts outside of the process group, as long as they may exist. */
  beyond: Beyond | undefined;
  pid: number | null;
  exitCode: number | null;
  signal: string | null;
  /** It was stopped before it ended. */
  stopped: boolean;
  /** Shared memory that existed before the process. */
  segments: Segments;
  logFrom: number;
  logTo?: number | undefined;
  /** Set from its preparation until its start. */
  log: OpenLog | undefined;
  /** Ends the hang detection. */
  unwatch: (() => void) | undefined;
  /** Ends the watch over its log. */
  unwatchLog: (() => void) | undefined;
}

export interface TableOptions {
  readonly spawner: Spawner;
  /** By default commands run on the host. */
  readonly launcher?: CommandBuilder;
  /** Replacements for words of commands on this node. */
  readonly words?: Readonly<Record<string, string>>;
  readonly guard: Guard;
  /** `<job>/<node>/<incarnation>`: the value of SRTCTL_AGENT in every process. */
  readonly agentMark: string;
  /**
   * Identity of the agent's process (SRTCTL_AGENT_ID), so that a later agent can check whether it has ended.
   */
  readonly agentId: string;
  readonly jobNode: string;
  /**
   * The listening address of processes: the node's own where nodes share a machine, else every address.
   * Without it (no process is real) ports are not checked.
   */
  readonly listenAddress?: string;
  /** The mark that no process can lose, and how to set it; undefined where there is no way. */
  readonly owner?: { readonly hard: bigint; readonly marker: Marker } | undefined;
  /** Pid of the process that adopts all orphans of the tree (keeper.pl). */
  readonly keeper?: number | undefined;
  /** Environment of every process. */
  readonly environment: Readonly<Record<string, string>>;
  /** Number of processes that the OOM killer ended a moment ago. */
  readonly oomKills?: () => number;
  readonly onTransition: (transition: Transition) => void;
  readonly onEmpty: () => void;
  readonly onDefect: (what: string, error: unknown) => void;
}

export const newEntry = (
  start: Pick<Entry, 'key' | 'spec' | 'generation' | 'mark' | 'number' | 'actor'>,
): Entry => ({
  ...start,
  state: 'waiting',
  why: 'wanted',
  unwanted: false,
  group: null,
  beyond: undefined,
  pid: null,
  exitCode: null,
  signal: null,
  stopped: false,
  segments: new Map(),
  logFrom: 0,
  log: undefined,
  unwatch: undefined,
  unwatchLog: undefined,
});

/** The new state of an entry, after state `from`. */
export function transitionOf(entry: Entry, from: ProcessState | null): Transition {
  const { spec, state, why, pid, exitCode, signal, generation, logFrom } = entry;
  if (state === 'stopping') entry.logTo ??= sizeOf(spec.logFile);
  const { logTo } = entry;
  return {
    ...{ spec, from, to: state, why, pid, exitCode, signal, generation, logFrom },
    ...(logTo === undefined ? {} : { logTo }),
  };
}

/** undefined: size unknown, so that the whole log counts. */
export function sizeOf(file: string): number | undefined {
  try {
    return statSync(file).size;
  } catch {
    return undefined;
  }
}
