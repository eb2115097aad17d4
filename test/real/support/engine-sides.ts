import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { until } from '../../support/bus.ts';
import { signal } from '../../support/signal.ts';
import { ask } from './answer.ts';
import type { Side } from './contract.ts';

export const SIMULATOR = resolve('dist/simulator.js');
const PORT = 8_000;
const ENDS_MS = 30_000;

/** A single engine: the real one, or its stand-in. */
export class EngineSide implements Side {
  readonly host: string;
  readonly child: ChildProcess;
  /** Everything that it has printed. */
  said = '';

  constructor(host: string, argv: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.host = host;
    const [program = '', ...args] = [...argv, '--host', host, '--port', String(PORT)];
    this.child = spawn(program, args, {
      // A process group of its own, because some faults signal the group.
      detached: true,
      env: { ...process.env, SRTCTL_SIM_LOAD_MS: '500', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const take = (data: unknown): void => {
      this.said += data;
    };
    this.child.stdout?.on('data', take);
    this.child.stderr?.on('data', take);
  }

  get url(): string {
    return `http://${this.host}:${PORT}`;
  }

  /** Waits until it is healthy. A start takes minutes on a busy machine. */
  ready(withinMs: number): Promise<unknown> {
    return until(
      'a healthy engine',
      async () => {
        if (this.child.exitCode !== null || this.child.signalCode !== null)
          throw new Error(`the engine has ended: ${this.said.slice(-2_000)}`);
        return (await ask(this.url, { path: '/health' })).status === 200;
      },
      withinMs,
    );
  }

  /** Processes of its session and group, with the titles that they set. */
  processes(): { pid: number; title: string }[] {
    return readdirSync('/proc').flatMap((name) => {
      const pid = Number(name);
      if (!(pid > 0)) return [];
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ') ?? [];
        if (Number(stat[3]) !== this.child.pid || stat[0] === 'Z') return [];
        return [{ pid, title: readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim() }];
      } catch {
        // It has ended in the meantime.
        return [];
      }
    });
  }

  /** Waits for the first of its processes whose title matches. */
  processOf(title: RegExp): Promise<{ pid: number; title: string }> {
    return until(`a process ${title}`, () => this.processes().find((each) => title.test(each.title)));
  }

  /** Waits for its end: its exit code, or the signal that ended it. */
  async ended(withinMs = ENDS_MS): Promise<number | string> {
    await until('an end', () => this.child.exitCode !== null || this.child.signalCode !== null, withinMs);
    return this.child.exitCode ?? this.child.signalCode ?? '';
  }

  /** For the end of a test. */
  end(): void {
    for (const { pid } of this.processes()) signal(pid, 'SIGKILL');
    this.child.kill('SIGKILL');
  }
}
