import { isDeepStrictEqual } from 'node:util';
import { createActor, fromCallback, fromPromise } from 'xstate';
import {
  type ProcessEvent,
  type ProcessMachine,
  processMachine,
  processStateOf,
} from '../../machines/process.ts';
import type { ProcessReport } from '../../messages/events/control.ts';
import type { Generation } from '../../messages/spec/counters.ts';
import type { ProcessSpec } from '../../messages/spec/process-spec.ts';
import { hasEnded } from '../../messages/spec/states.ts';
import { endStrays } from '../leftovers/end-left.ts';
import { isOfJob } from '../leftovers/kin.ts';
import { describeTaken, takenPorts } from '../ports/free-ports.ts';
import { watchProbe } from '../watch/probe-loop.ts';
import { endRest, kill, killAll, signalGroup, terminate } from './ending.ts';
import { type Entry, newEntry, sizeOf, type TableOptions, transitionOf } from './entry.ts';
import { closeLog, openLog, spawnProcess } from './launching.ts';
import { inTheWay, reconcile } from './reconcile.ts';
import { watch, watchLog, whoAnswersFor } from './watching.ts';

/**
 * The agent's running processes. The table is around the machines and not inside them, so that `killAll`
 * works in every state of a machine. A process stays in it until no process with its mark exists.
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

  /** The specs of the current desired state. */
  get wanted(): ProcessSpec[] {
    return [...this.#entries.values()].filter(({ unwanted }) => !unwanted).map(({ spec }) => spec);
  }

  /** The processes that serve now, each with the number of its start. */
  get ready(): { start: number; spec: ProcessSpec }[] {
    return [...this.#entries.values()]
      .filter(({ state }) => state === 'ready' || state === 'degraded')
      .map(({ number, spec }) => ({ start: number, spec }));
  }

  reports(): ProcessReport[] {
    return [...this.#entries.values()]
      .filter((entry) => !entry.unwanted || !hasEnded(entry.state))
      .map(({ spec, state, pid, generation, why, exitCode, signal, stopped }) => ({
        id: spec.id,
        state,
        pid,
        generation,
        why,
        exitCode,
        signal,
        ...(stopped && hasEnded(state) ? { stopped } : {}),
        ...(spec.restart === undefined ? {} : { restart: spec.restart }),
      }));
  }

  /** What the process is, or was, started with; its last spec, when there are several. */
  specOf(id: string): ProcessSpec | undefined {
    return [...this.#entries.values()].findLast(({ spec }) => spec.id === id)?.spec;
  }

  /** Makes the running processes match the desired state. */
  apply(desired: readonly ProcessSpec[], generation: Generation, why: string): void {
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

  /** false where no process is real. */
  get looksAtPorts(): boolean {
    return this.#options.listenAddress !== undefined;
  }

  /** The specs that would start if this were the desired state. */
  toStart(desired: readonly ProcessSpec[]): readonly ProcessSpec[] {
    return reconcile([...this.#entries.values()], desired).start;
  }

  /**
   * Ports of these specs that another program has, in sentences. Ports of the table's own processes, even of
   * ending ones, do not count.
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
   * Sends SIGKILL to everything of this agent, at once, whatever state the machines are in: by process group
   * and by mark. For the last moments of the agent.
   */
  killAll(): void {
    killAll(this.#options, this.#entries.values());
  }

  /** Sends a signal to a running process and its children; false when it no longer has this pid. */
  signal(id: string, pid: number, signal: NodeJS.Signals): boolean {
    for (const entry of this.#entries.values()) {
      if (entry.spec.id !== id || entry.pid !== pid || entry.group === null || hasEnded(entry.state))
        continue;
      if (signal === 'SIGKILL') kill(this.#options, entry);
      else signalGroup(this.#options, entry, signal);
      return true;
    }
    return false;
  }

  #stop(key: string, why: string): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    entry.unwanted = true;
    if (!hasEnded(entry.state)) entry.actor.send({ type: 'stop', why });
  }

  /** The same process with other monitoring. */
  #change(key: string, spec: ProcessSpec): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    const watchedAnew = !isDeepStrictEqual(entry.spec.progress, spec.progress);
    const fatalOf = ({ fatalLines, fatalPatterns }: ProcessSpec) => [fatalLines, fatalPatterns];
    const readAnew = !isDeepStrictEqual(fatalOf(entry.spec), fatalOf(spec));
    entry.spec = spec;
    if (hasEnded(entry.state)) return;
    entry.actor.send({ type: 'spec.changed', spec });
    if (readAnew) watchLog(entry, sizeOf(spec.logFile));
    if (!watchedAnew) return;
    entry.unwatch?.();
    entry.unwatch = undefined;
    watch(this.#options, entry);
  }

  #add(spec: ProcessSpec, generation: Generation): void {
    const key = `${spec.id}#${++this.#starts}`;
    const entry = newEntry({
      key,
      spec,
      generation,
      mark: `${this.#options.jobNode}/${spec.id}/${this.#starts}`,
      number: this.#starts,
      actor: createActor(this.#machineFor(key), { input: { spec } }),
    });
    this.#entries.set(key, entry);
    this.#options.onTransition(transitionOf(entry, null));
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
        entry.stopped ||= state === 'stopping';
        entry.why = context.why;
        if (context.unexpected.length > 0)
          this.#options.onDefect(`${spec.id}: unexpected events`, context.unexpected);
        this.#options.onTransition(transitionOf(entry, from));
        watch(this.#options, entry);
        if (state === 'starting' && !entry.unwatchLog) watchLog(entry);
        if (state === 'stopping' || hasEnded(state)) entry.unwatchLog?.();
        if (!hasEnded(state)) return;
        closeLog(entry);
        this.#startWaiting();
      },
      error: (error) => {
        // A machine that broke must not leak its process.
        this.#options.onDefect(`the machine of ${spec.id} broke`, error);
        const from = entry.state;
        entry.state = 'failed';
        entry.why = 'srtctl: internal error in its machine';
        signalGroup(this.#options, entry, 'SIGKILL');
        entry.unwatch?.();
        entry.unwatchLog?.();
        this.#options.onTransition(transitionOf(entry, from));
      },
    });
    entry.actor.start();
  }

  /** Starts every waiting process whose resources are free. */
  #startWaiting(): void {
    for (const entry of this.#entries.values()) {
      if (entry.state !== 'waiting' || entry.unwanted) continue;
      const blocked = [...this.#entries.values()].some(
        (other) =>
          other !== entry && this.#exists(other) && inTheWay(entry.spec, other.spec, !other.unwanted),
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
          if (entry)
            spawnProcess(this.#options, entry, input.spec, sendBack, (onNothingBeyond) => {
              void this.#sweep(entry, onNothingBeyond);
            });
          return () => {
            // This is only reached with the process alive when the machine was stopped from outside; the
            // process must not leak.
            if (entry?.group != null && entry.exitCode === null && entry.signal === null)
              signalGroup(this.#options, entry, 'SIGKILL');
          };
        }),
        probe: fromCallback(({ sendBack, input }) =>
          watchProbe(
            input,
            sendBack,
            this.#options.listenAddress === undefined
              ? undefined
              : (host, port) => whoAnswersFor(this.#options, entryOf(), host, port),
            entryOf()?.logFrom,
          ),
        ),
      },
      actions: {
        terminate: () => void terminate(this.#options, entryOf()),
        terminateAll: () => signalGroup(this.#options, entryOf(), 'SIGTERM'),
        kill: () => kill(this.#options, entryOf()),
      },
    });
  }

  async #prepare(entry: Entry | undefined, spec: ProcessSpec, signal: AbortSignal): Promise<void> {
    const [taken] = await this.taken([spec], entry);
    if (taken !== undefined) throw new Error(taken);
    await openLog(entry, spec, signal);
  }

  /**
   * The main process has ended: ends the processes that it left behind, in its group or outside of it, then
   * releases the entry.
   */
  async #sweep(entry: Entry, onNothingBeyond?: () => void): Promise<void> {
    await endRest(this.#options, entry, onNothingBeyond);
    this.#startWaiting();
    this.#forgetOver();
    if (this.alive > 0) return;
    if (this.#options.keeper !== undefined) endStrays(this.#options.spawner, this.#options.keeper);
    this.#options.onEmpty();
  }
}
