import { statSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { type ActorRefFrom, createActor, fromCallback, fromPromise } from 'xstate';
import {
  type ProcessEvent,
  type ProcessMachine,
  processMachine,
  processStateOf,
} from '../../machines/process.ts';
import type { ProcessReport } from '../../messages/events/control.ts';
import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import { hasEnded, type ProcessState } from '../../messages/spec/states.ts';
import type { Guard } from '../../os/processes/guard.ts';
import type { Marker } from '../../os/processes/owner-mark.ts';
import { endLeft, endQuickly, endStrays, newestPids } from '../leftovers/end-left.ts';
import { isOfJob } from '../leftovers/kin.ts';
import { findProcessesSync, isMarked, type Sought } from '../leftovers/marks.ts';
import { removeSegments, type Segments, segments } from '../leftovers/shared-memory.ts';
import { describeTaken, takenPorts } from '../ports/free-ports.ts';
import { type WhoAnswers, whoAnswers } from '../ports/who-answers.ts';
import type { Beyond, Launcher } from '../start/launch.ts';
import { mainProcess } from '../start/main-process.ts';
import { type OpenLog, prepareFiles } from '../start/prepare.ts';
import type { Spawned, Spawner, SpawnListener } from '../start/spawn.ts';
import { watchForFatalLine } from '../watch/fatal-watch.ts';
import { watchProgress } from '../watch/hang-watch.ts';
import { watchProbe } from '../watch/probe-loop.ts';
import { stacksOf } from '../watch/stacks.ts';
import { inTheWay, reconcile } from './reconcile.ts';

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

interface Entry {
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

/**
 * The agent's running processes. The table is here, around the machines and not in them, so that `killAll` works in
 * whatever state a machine is; a process leaves it only when nothing with its mark exists any more.
 */
export class ProcessTable {
  readonly #options: TableOptions;
  readonly #entries = new Map<string, Entry>();
  #starts = 0;

  constructor(options: TableOptions) {
    this.#options = options;
  }

  /** Number of processes that may still exist. */
  get alive(): number {
    let count = 0;
    for (const entry of this.#entries.values()) if (entry.group !== null || !hasEnded(entry.state)) count++;
    return count;
  }

  /** What is to run here. */
  get wanted(): ProcessSpec[] {
    return [...this.#entries.values()].filter(({ unwanted }) => !unwanted).map(({ spec }) => spec);
  }

  reports(): ProcessReport[] {
    return [...this.#entries.values()]
      .filter((entry) => !entry.unwanted || !hasEnded(entry.state))
      .map(({ spec, state, pid, generation, why, exitCode, signal }) => ({
        id: spec.id,
        state,
        pid,
        generation,
        why,
        exitCode,
        signal,
      }));
  }

  logFileOf(id: string): string | undefined {
    let file: string | undefined;
    for (const entry of this.#entries.values()) if (entry.spec.id === id) file = entry.spec.logFile;
    return file;
  }

  /** Makes what runs what is wanted. */
  apply(desired: readonly ProcessSpec[], generation: number, why: string): void {
    const { stop, keep, change, start } = reconcile([...this.#entries.values()], desired);
    for (const key of keep) {
      const entry = this.#entries.get(key);
      if (entry) entry.generation = generation;
    }
    for (const { key, spec } of change) this.#change(key, spec);
    for (const key of stop) this.#stop(key, why);
    for (const spec of start) this.#add(spec, generation);
    this.#startWaiting();
    this.#forgetOver();
    if (this.alive === 0) this.#options.onEmpty();
  }

  /** false where no process is a real one. */
  get looksAtPorts(): boolean {
    return this.#options.listenAddress !== undefined;
  }

  /** Those that would be started if this were wanted. */
  toStart(desired: readonly ProcessSpec[]): readonly ProcessSpec[] {
    return reconcile([...this.#entries.values()], desired).start;
  }

  /**
   * Which ports that these are to listen on somebody else has, in sentences. What processes of the table have, or have
   * not yet let go of, is theirs.
   */
  async taken(wanted: readonly Pick<ProcessSpec, 'id' | 'ports'>[], but?: object): Promise<string[]> {
    const { listenAddress: address, jobNode } = this.#options;
    if (address === undefined) return [];
    const [jobId = '', node = ''] = jobNode.split('/');
    const held = [...this.#entries.values()].filter((entry) => entry !== but && this.#exists(entry));
    const own = new Set(held.flatMap(({ spec }) => Object.values(spec.ports)));
    const ports = wanted.flatMap(({ id, ports }) =>
      Object.entries(ports).map(([name, port]) => ({ process: id, name, port })),
    );
    const asked = ports.filter(({ port }) => port > 0 && !own.has(port));
    const taken = await takenPorts(asked, { address, isOwn: (pid) => isOfJob(pid, jobId) });
    return taken.map((each) => describeTaken(each, node));
  }

  /**
   * SIGKILL to everything of this agent, now, without waiting and whatever the machines think: by process group and
   * by mark. For the last moments of the agent.
   */
  killAll(): void {
    for (const { group } of this.#entries.values())
      if (group !== null) this.#options.spawner.signalGroup(group, 'SIGKILL');
    this.#options.launcher?.killAllSync();
    const sought = { entry: `SRTCTL_AGENT=${this.#options.agentMark}`, hard: this.#options.owner?.hard };
    for (let round = 0; round < 5; round++) {
      const left = findProcessesSync(sought);
      if (left.length === 0) return;
      for (const pid of left) this.#options.spawner.signal(pid, 'SIGKILL');
      endQuickly(
        newestPids,
        (pid, mark) => isMarked(mark, sought) && this.#options.spawner.signal(pid, 'SIGKILL'),
      );
    }
  }

  #stop(key: string, why: string): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    entry.unwanted = true;
    if (!hasEnded(entry.state)) entry.actor.send({ type: 'stop', why });
  }

  /** The same process, watched differently. */
  #change(key: string, spec: ProcessSpec): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    const watchedAnew = !isDeepStrictEqual(entry.spec.progress, spec.progress);
    const readAnew = !isDeepStrictEqual(entry.spec.fatalLines, spec.fatalLines);
    entry.spec = spec;
    if (hasEnded(entry.state)) return;
    entry.actor.send({ type: 'spec.changed', spec });
    if (readAnew) this.#watchLog(entry, sizeOf(spec.logFile));
    if (!watchedAnew) return;
    entry.unwatch?.();
    entry.unwatch = undefined;
    this.#watch(entry);
  }

  #add(spec: ProcessSpec, generation: number): void {
    const key = `${spec.id}#${++this.#starts}`;
    const entry: Entry = {
      key,
      spec,
      generation,
      mark: `${this.#options.jobNode}/${spec.id}/${this.#starts}`,
      number: this.#starts,
      actor: createActor(this.#machineFor(key), { input: { spec } }),
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
    };
    this.#entries.set(key, entry);
    this.#tell(entry, null);
    entry.actor.subscribe({
      next: (snapshot) => {
        const { context } = snapshot;
        const state = processStateOf(snapshot.value);
        entry.pid = context.pid;
        entry.exitCode = context.exitCode;
        entry.signal = context.signal;
        if (state === entry.state) return;
        const from = entry.state;
        entry.state = state;
        entry.why = context.why;
        if (context.unexpected.length > 0)
          this.#options.onDefect(`${spec.id}: unexpected events`, context.unexpected);
        this.#tell(entry, from);
        this.#watch(entry);
        if (state === 'starting' && !entry.unwatchLog) this.#watchLog(entry);
        if (state === 'stopping' || hasEnded(state)) entry.unwatchLog?.();
        if (!hasEnded(state)) return;
        this.#closeLog(entry);
        this.#startWaiting();
      },
      error: (error) => {
        // A machine that broke must not leak its process.
        this.#options.onDefect(`the machine of ${spec.id} broke`, error);
        const from = entry.state;
        entry.state = 'failed';
        entry.why = 'srtctl: internal error in its machine';
        this.#signal(entry, 'SIGKILL');
        entry.unwatch?.();
        entry.unwatchLog?.();
        this.#tell(entry, from);
      },
    });
    entry.actor.start();
  }

  #tell(entry: Entry, from: ProcessState | null): void {
    const { spec, state, why, pid, exitCode, signal, generation, logFrom } = entry;
    if (state === 'stopping') entry.logTo ??= sizeOf(spec.logFile);
    const { logTo } = entry;
    this.#options.onTransition({
      ...{ spec, from, to: state, why, pid, exitCode, signal, generation, logFrom },
      ...(logTo === undefined ? {} : { logTo }),
    });
  }

  /** From when it is ready until it is stopped or over. */
  #watch(entry: Entry): void {
    const { spec, state, group } = entry;
    if (state === 'ready' && !entry.unwatch && spec.progress && group !== null) {
      entry.unwatch = watchProgress({
        progress: spec.progress,
        group,
        onMetrics: (values) => this.#options.onMetrics({ process: spec.id, values }),
        onHung: (says) => void this.#hung(entry, says),
      });
    } else if (state === 'stopping' || hasEnded(state)) entry.unwatch?.();
  }

  /** From when it is started until it is stopped or over. `from`: byte of its log. */
  #watchLog(entry: Entry, from = entry.logFrom): void {
    const { logFile: file, fatalLines: lines = [] } = entry.spec;
    entry.unwatchLog?.();
    entry.unwatchLog =
      lines.length === 0 || entry.state === 'stopping'
        ? undefined
        : watchForFatalLine({
            ...{ file, from, lines },
            onLine: (line) => entry.actor.send({ type: 'log.fatal', line }),
          });
  }

  /** Says so, has a look at what it is doing, and only then ends it. */
  async #hung(entry: Entry, says: string): Promise<void> {
    const { spec } = entry;
    entry.actor.send({ type: 'hang.suspected', detail: says });
    let detail = says;
    try {
      const env = { ...this.#options.environment, ...spec.env };
      const file = await stacksOf(this.#sought(entry), spec.logFile, env);
      if (file !== undefined) detail += `; stacks in ${file}`;
    } catch (error) {
      this.#options.onDefect(`stacks of ${spec.id}`, error);
    }
    if (!hasEnded(entry.state)) entry.actor.send({ type: 'hang.detected', detail });
  }

  /** Starts what waits and has nothing in its way. */
  #startWaiting(): void {
    for (const entry of this.#entries.values()) {
      if (entry.state !== 'waiting' || entry.unwanted) continue;
      const blocked = [...this.#entries.values()].some(
        (other) => other !== entry && this.#exists(other) && inTheWay(entry.spec, other.spec),
      );
      if (!blocked) entry.actor.send({ type: 'resources.free' });
    }
  }

  #exists(entry: Entry): boolean {
    return entry.group !== null || (entry.state !== 'waiting' && !hasEnded(entry.state));
  }

  #forgetOver(): void {
    for (const [key, entry] of this.#entries)
      if (entry.unwanted && entry.group === null && hasEnded(entry.state)) this.#entries.delete(key);
  }

  #machineFor(key: string): ProcessMachine {
    const entryOf = () => this.#entries.get(key);
    return processMachine.provide({
      actors: {
        prepare: fromPromise(({ input, signal }) => this.#prepare(entryOf(), input.spec, signal)),
        life: fromCallback<ProcessEvent, { spec: ProcessSpec }>(({ sendBack, input }) => {
          const entry = entryOf();
          if (entry) this.#spawn(entry, input.spec, sendBack);
          return () => {
            // Left with the process alive: only when the machine was stopped from outside. Nothing may leak.
            if (entry?.group != null && entry.exitCode === null && entry.signal === null)
              this.#signal(entry, 'SIGKILL');
          };
        }),
        probe: fromCallback(({ sendBack, input }) =>
          watchProbe(
            input,
            sendBack,
            this.#options.listenAddress === undefined
              ? undefined
              : (host, port) => this.#whoAnswers(entryOf(), host, port),
            entryOf()?.logFrom,
          ),
        ),
      },
      actions: {
        terminate: () => void this.#terminate(entryOf()),
        terminateAll: () => this.#signal(entryOf(), 'SIGTERM'),
        kill: () => this.#kill(entryOf()),
      },
    });
  }

  #whoAnswers(entry: Entry | undefined, host: string, port: number): Promise<WhoAnswers> {
    if (entry?.group == null) return Promise.resolve({ who: 'unseen', says: 'the process has ended' });
    const { group, mark, beyond, spec } = entry;
    const [jobId = ''] = this.#options.jobNode.split('/');
    const isBeyond = beyond !== undefined || spec.mpi !== undefined;
    return whoAnswers(host, port, { group, mark, sought: this.#sought(entry), jobId, isBeyond });
  }

  async #prepare(entry: Entry | undefined, spec: ProcessSpec, signal: AbortSignal): Promise<void> {
    const [taken] = await this.taken([spec], entry);
    if (taken !== undefined) throw new Error(taken);
    const log = await prepareFiles(spec);
    // It was stopped meanwhile.
    if (!entry || signal.aborted) return log.close();
    entry.log = log;
    entry.logFrom = log.size;
  }

  #closeLog(entry: Entry): void {
    entry.log?.close();
    entry.log = undefined;
  }

  #spawn(entry: Entry, planned: ProcessSpec, sendBack: (event: ProcessEvent) => void): void {
    const { words = {} } = this.#options;
    const spec = { ...planned, argv: planned.argv.map((word) => words[word] ?? word) };
    const env = {
      ...this.#options.environment,
      ...spec.env,
      SRTCTL_AGENT: this.#options.agentMark,
      SRTCTL_AGENT_ID: this.#options.agentId,
      SRTCTL_PROCESS: entry.mark,
    };
    const { owner } = this.#options;
    const locks = owner && { soft: owner.hard - BigInt(entry.number), hard: owner.hard };
    let spawned: Spawned | undefined;
    try {
      const {
        beyond,
        env: inner,
        ...launched
      } = this.#options.launcher?.launch(spec, env, entry.mark, locks) ?? {
        argv: spec.argv,
        cwd: spec.cwd,
        env,
      };
      entry.beyond = beyond;
      const listener: SpawnListener = {
        exited: (exitCode, signal) => {
          const oomKills = signal === 'SIGKILL' ? (this.#options.oomKills?.() ?? 0) : 0;
          const exited = () => sendBack({ type: 'process.exited', exitCode, signal, oomKills });
          // Ranks on other nodes can outlive their srun: what comes next may be started by an agent that cannot see them.
          if (!spec.mpi) exited();
          void this.#sweep(entry, spec.mpi && exited);
        },
        failed: (error) => {
          this.#nothingBeyond(entry);
          sendBack({ type: 'process.spawnFailed', error });
        },
      };
      if (!entry.log) throw new Error('its log is not open');
      entry.segments = segments();
      const mark = owner && ((argv: string[]) => owner.marker(owner.hard, entry.number, argv));
      spawned = this.#options.spawner.spawn({ ...spec, ...launched }, inner, listener, entry.log, mark);
    } catch (error) {
      this.#nothingBeyond(entry);
      const reason = error instanceof Error ? error.message : String(error);
      queueMicrotask(() => sendBack({ type: 'process.spawnFailed', error: `cannot start: ${reason}` }));
      return;
    }
    this.#closeLog(entry);
    if (!spawned) return;
    entry.group = spawned.pid;
    entry.pid = spawned.pid;
    this.#options.guard.began(spawned.pid);
    sendBack({ type: 'process.spawned', pid: spawned.pid });
  }

  #signal(entry: Entry | undefined, signal: NodeJS.Signals): void {
    if (entry?.group == null) return;
    this.#options.spawner.signalGroup(entry.group, signal);
  }

  /** What is beyond the process group may have to be asked in another way. */
  async #terminate(entry: Entry | undefined): Promise<void> {
    if (entry?.beyond && (await entry.beyond.terminate())) return;
    if (entry?.group == null) return;
    const main = mainProcess(entry.group);
    if (main === undefined || !this.#options.spawner.signal(main, 'SIGTERM')) this.#signal(entry, 'SIGTERM');
  }

  #kill(entry: Entry | undefined): void {
    this.#signal(entry, 'SIGKILL');
    void entry?.beyond?.kill();
  }

  #nothingBeyond(entry: Entry): void {
    entry.beyond?.over();
    entry.beyond = undefined;
  }

  #sought({ mark, number }: Entry): Sought {
    return { entry: `SRTCTL_PROCESS=${mark}`, hard: this.#options.owner?.hard, number };
  }

  /** The main process has ended: ends what it left behind, in its group or out of it, then lets go of the entry. */
  async #sweep(entry: Entry, onNothingBeyond?: () => void): Promise<void> {
    const { group } = entry;
    try {
      await entry.beyond?.kill();
    } catch (error) {
      this.#options.onDefect(`what ${entry.spec.id} has beyond this node`, error);
    }
    onNothingBeyond?.();
    try {
      await endLeft({
        spawner: this.#options.spawner,
        group,
        sought: this.#sought(entry),
        keeper: this.#options.keeper,
      });
    } catch (error) {
      this.#options.onDefect(`looking for what ${entry.spec.id} left`, error);
    }
    removeSegments(entry.segments);
    if (group !== null) this.#options.guard.over(group);
    this.#nothingBeyond(entry);
    entry.group = null;
    this.#startWaiting();
    this.#forgetOver();
    if (this.alive > 0) return;
    if (this.#options.keeper !== undefined) endStrays(this.#options.spawner, this.#options.keeper);
    this.#options.onEmpty();
  }
}

/** undefined: a log of which nothing can be said, so that all of it counts. */
function sizeOf(file: string): number | undefined {
  try {
    return statSync(file).size;
  } catch {
    return undefined;
  }
}
