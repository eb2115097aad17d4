import { statSync } from 'node:fs';
import type { ActorRefFrom } from 'xstate';
import type { ProcessMachine } from '../../machines/process.ts';
import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import type { ProcessState } from '../../messages/spec/states.ts';
import type { Guard } from '../../os/processes/guard.ts';
import type { Marker } from '../../os/processes/owner-mark.ts';
import type { Segments } from '../leftovers/shared-memory.ts';
import type { Beyond, Launcher } from '../start/launch.ts';
import type { OpenLog } from '../start/prepare.ts';
import type { Spawner } from '../start/spawn.ts';

/** A change of state of one process, before it is put on the bus. */
export interface Transition {
  readonly spec: ProcessSpec;
  readonly from: ProcessState | null;
  readonly to: ProcessState;
  readonly why: string;
  readonly pid: number | null;
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly generation: number;
  /** Byte of the log file where what it says begins. */
  readonly logFrom: number;
  /** Its size when the process was asked to end; what follows is about that. */
  readonly logTo?: number;
}

/** What the table holds of one start of a process. */
export interface Entry {
  readonly key: string;
  spec: ProcessSpec;
  generation: number;
  readonly mark: string;
  /** Of all the agent's starts; a part of the mark that the process cannot lose. */
  readonly number: number;
  actor: ActorRefFrom<ProcessMachine>;
  state: ProcessState;
  why: string;
  unwanted: boolean;
  /** The process group, from the spawn until nothing of it is left. */
  group: number | null;
  /** What of it the process group does not hold, as long as that may exist. */
  beyond: Beyond | undefined;
  pid: number | null;
  exitCode: number | null;
  signal: string | null;
  /** Shared memory that was there before the process. */
  segments: Segments;
  logFrom: number;
  logTo?: number | undefined;
  /** From when it is prepared until it is started. */
  log: OpenLog | undefined;
  /** Ends the watch over whether it gets on. */
  unwatch: (() => void) | undefined;
  /** Ends the watch over its log. */
  unwatchLog: (() => void) | undefined;
}

export interface TableOptions {
  readonly spawner: Spawner;
  /** By default commands are started as they are. */
  readonly launcher?: Launcher;
  /** Words of commands that are other ones on this node. */
  readonly words?: Readonly<Record<string, string>>;
  readonly guard: Guard;
  /** `<job>/<node>/<incarnation>`: the value of SRTCTL_AGENT in every process. */
  readonly agentMark: string;
  /** Which process the agent is (SRTCTL_AGENT_ID), so that a later one can tell that it has ended. */
  readonly agentId: string;
  readonly jobNode: string;
  /**
   * Where processes listen: the node's own address where nodes share a machine, else every address. Left out where no
   * process is a real one: then nobody looks who has a port.
   */
  readonly listenAddress?: string;
  /** The mark that no process can lose, and how it is set; left out where there is no way to set it. */
  readonly owner?: { readonly hard: bigint; readonly marker: Marker } | undefined;
  /** Pid of the process that everything becomes a child of whose own parent has ended (keeper.pl). */
  readonly keeper?: number | undefined;
  /** What every process inherits. */
  readonly environment: Readonly<Record<string, string>>;
  /** Processes that the kernel ended a moment ago for lack of memory. */
  readonly oomKills?: () => number;
  readonly onTransition: (transition: Transition) => void;
  readonly onMetrics: (metrics: { process: string; values: Record<string, number> }) => void;
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
  segments: new Map(),
  logFrom: 0,
  log: undefined,
  unwatch: undefined,
  unwatchLog: undefined,
});

/** What an entry has become, which was `from` before. */
export function transitionOf(entry: Entry, from: ProcessState | null): Transition {
  const { spec, state, why, pid, exitCode, signal, generation, logFrom } = entry;
  if (state === 'stopping') entry.logTo ??= sizeOf(spec.logFile);
  const { logTo } = entry;
  return {
    ...{ spec, from, to: state, why, pid, exitCode, signal, generation, logFrom },
    ...(logTo === undefined ? {} : { logTo }),
  };
}

/** undefined: a log of which nothing can be said, so that all of it counts. */
export function sizeOf(file: string): number | undefined {
  try {
    return statSync(file).size;
  } catch {
    return undefined;
  }
}
