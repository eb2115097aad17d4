import { type ChildProcess, spawn } from 'node:child_process';
import type { ExecEnd, ExecPiece } from '../../messages/events/exec.ts';
import { endLeft } from '../leftovers/end-left.ts';
import type { TableOptions } from '../processes/entry.ts';
import { isProgram, osSpawner } from '../start/spawn.ts';

/** Output that was not taken yet, bytes; above it the command has to wait. */
const MOST_HELD = 1_048_576;
/** All output of a command, bytes; above it the agent ends the command. */
const MOST_OUTPUT = 256 * 1_048_576;
/** Bytes of one answer, well below the largest message after base64. */
const MOST_IN_ANSWER = 256 * 1_024;
/** From SIGTERM to SIGKILL. */
const GRACE_MS = 2_000;
/** How long output may follow the end of the command, from children that it left. */
const LAST_OUTPUT_MS = 500;

export type CommandOptions = Pick<
  TableOptions,
  'guard' | 'agentMark' | 'agentId' | 'jobNode' | 'owner' | 'keeper' | 'environment' | 'onDefect'
>;

export interface CommandStart {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string | undefined;
  readonly limitMs: number;
  /** Among the marks of the agent's processes; above the numbers of the table. */
  readonly number: number;
  readonly name: string;
  readonly onEnd: (end: ExecEnd) => void;
}

/**
 * A command that an operator runs on the node, without a shell. It has the agent's mark and a process group of its own, so
 * it ends with the agent like any process of the job, and its children end with it. Its output is held until it is taken.
 */
export class Command {
  readonly #child: ChildProcess;
  readonly #options: CommandOptions;
  readonly #start: CommandStart;
  readonly #pieces: ExecPiece[] = [];
  #held = 0;
  #output = 0;
  #last = 0;
  #end: ExecEnd | undefined;
  #stoppedBecause: string | undefined;
  #listeners: (() => void)[] = [];
  readonly #timers: NodeJS.Timeout[] = [];

  /** @throws Error when the program cannot be started */
  constructor(options: CommandOptions, start: CommandStart) {
    this.#options = options;
    this.#start = start;
    const { owner, agentMark, agentId } = options;
    const [program = ''] = start.argv;
    const env = {
      ...start.env,
      SRTCTL_AGENT: agentMark,
      SRTCTL_AGENT_ID: agentId,
      SRTCTL_PROCESS: this.#mark,
    };
    if (!isProgram(program, start.cwd, env)) throw new Error(`command not found: ${program}`);
    const argv = owner ? owner.marker(owner.hard, start.number, start.argv) : start.argv;
    const [first = '', ...args] = argv;
    this.#child = spawn(first, args, {
      env,
      cwd: start.cwd,
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    if (this.#child.pid !== undefined) options.guard.began(this.#child.pid);
    for (const stream of ['stdout', 'stderr'] as const)
      this.#child[stream]?.on('data', (data: Buffer) => this.#said(stream, data));
    this.#child.once('error', (error) => void this.#over(null, null, error.message));
    this.#child.once('exit', (code, signal) => void this.#exited(code, signal));
    this.#timers.push(
      setTimeout(() => this.stop(`it took longer than ${start.limitMs / 1_000} s`), start.limitMs),
    );
  }

  get #mark(): string {
    return `${this.#options.jobNode}/exec/${this.#start.name}`;
  }

  /** null while it runs. */
  get end(): ExecEnd | null {
    return this.#end ?? null;
  }

  /** Forgets the pieces up to number `after`, and gives the next ones; `end` only with the last of them. */
  take(after: number): { pieces: ExecPiece[]; end: ExecEnd | null } {
    while ((this.#pieces[0]?.number ?? Number.POSITIVE_INFINITY) <= after)
      this.#held -= this.#pieces.shift()?.data.length ?? 0;
    if (this.#held <= MOST_HELD) for (const stream of this.#streams()) stream.resume();
    const pieces: ExecPiece[] = [];
    for (let size = 0; pieces.length < this.#pieces.length; ) {
      const piece = this.#pieces[pieces.length];
      size += piece?.data.length ?? 0;
      if (!piece || (pieces.length > 0 && size > MOST_IN_ANSWER)) break;
      pieces.push(piece);
    }
    return { pieces, end: pieces.length === this.#pieces.length ? this.end : null };
  }

  /** Resolves when there is something to take, or after `ms`. */
  waitForMore(ms: number): Promise<void> {
    return ms === 0 || this.#pieces.length > 0 || this.#end ? Promise.resolve() : this.#change(ms);
  }

  /** Resolves when it has said something or has ended, or after `ms`. */
  #change(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#listeners.push(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }

  /** SIGTERM to its process group, and SIGKILL after a moment. */
  stop(why: string): void {
    if (this.#end || this.#stoppedBecause !== undefined) return;
    this.#stoppedBecause = why;
    this.#signal('SIGTERM');
    this.#timers.push(setTimeout(() => this.#signal('SIGKILL'), GRACE_MS));
  }

  /** SIGKILL to its process group. Resolves when nothing of it is left, or after a moment. */
  async kill(why: string): Promise<void> {
    this.#stoppedBecause ??= why;
    this.#signal('SIGKILL');
    const until = performance.now() + GRACE_MS;
    while (!this.#end && performance.now() < until) await this.#change(until - performance.now());
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#child.pid !== undefined && !this.#end) osSpawner.signalGroup(this.#child.pid, signal);
  }

  #streams() {
    return [this.#child.stdout, this.#child.stderr].filter((stream) => stream !== null);
  }

  #said(stream: ExecPiece['stream'], data: Buffer): void {
    if (this.#end) return;
    this.#output += data.length;
    if (this.#output > MOST_OUTPUT) {
      this.stop(`its output is longer than ${MOST_OUTPUT / 1_048_576} MiB`);
      return;
    }
    const piece = { number: ++this.#last, stream, data: data.toString('base64') };
    this.#pieces.push(piece);
    this.#held += piece.data.length;
    if (this.#held > MOST_HELD) for (const each of this.#streams()) each.pause();
    this.#wake();
  }

  async #exited(exitCode: number | null, signal: string | null): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#child.once('close', () => resolve());
      // Paused streams close only when they are taken.
      const waitWhileFull = (): void => {
        const wait = setTimeout(() => (this.#held > MOST_HELD ? waitWhileFull() : resolve()), LAST_OUTPUT_MS);
        this.#timers.push(wait);
      };
      waitWhileFull();
    });
    await closed;
    await this.#over(exitCode, signal);
  }

  async #over(exitCode: number | null, signal: string | null, error?: string): Promise<void> {
    if (this.#end) return;
    const { guard, keeper, owner, onDefect } = this.#options;
    const group = this.#child.pid ?? null;
    const sought = { entry: `SRTCTL_PROCESS=${this.#mark}`, hard: owner?.hard, number: this.#start.number };
    try {
      await endLeft({ spawner: osSpawner, group, sought, keeper });
    } catch (defect) {
      onDefect('looking for what a command left', defect);
    }
    if (group !== null) guard.over(group);
    for (const timer of this.#timers.splice(0)) clearTimeout(timer);
    const why = error ?? this.#stoppedBecause;
    this.#end = { exitCode, signal, ...(why === undefined ? {} : { stoppedBecause: why }) };
    this.#start.onEnd(this.#end);
    this.#wake();
  }

  #wake(): void {
    for (const listener of this.#listeners.splice(0)) listener();
  }
}
