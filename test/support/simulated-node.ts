import type { ProcessSpec } from '../../src/messages/spec/process-spec.ts';
import { inTheWay } from '../../src/node-agent/processes/reconcile.ts';
import type { Spawner, SpawnListener } from '../../src/node-agent/start/spawn.ts';
import type { Guard } from '../../src/os/processes/guard.ts';

export interface SimulatedProcess {
  readonly spec: ProcessSpec;
  readonly pid: number;
  readonly mark: string;
  readonly listener: SpawnListener;
  exists: boolean;
  /** A child in its own session, which can be found only by its mark. */
  orphan: boolean;
  /** The process ended without a signal. */
  crashed: boolean;
}

/** The second word of a process's command decides how it handles SIGTERM. */
const SLOW_MS = 300;

/** A node whose processes are entries of a list: they take time to end, ignore SIGTERM, and leave children behind. */
export class SimulatedNode {
  readonly processes: SimulatedProcess[] = [];
  /** Two processes that must not exist at once, and did. */
  readonly collisions: string[] = [];
  /** Starts of each command that fail. */
  readonly broken = new Set<string>();
  static #pids = 1_000;

  readonly guard: Guard = { began: () => {}, over: () => {}, dismiss: async () => {} };

  readonly spawner: Spawner = {
    spawn: (spec, env, listener) => {
      for (const other of this.processes)
        if ((other.exists || other.orphan) && inTheWay(spec, other.spec))
          this.collisions.push(`${spec.id} beside ${other.spec.id} (${other.pid})`);
      const pid = ++SimulatedNode.#pids;
      const mark = `SRTCTL_PROCESS=${env.SRTCTL_PROCESS}`;
      this.processes.push({ spec, pid, mark, listener, exists: true, orphan: false, crashed: false });
      return { pid };
    },
    signalGroup: (group, signal) => {
      const target = this.processes.find(({ pid, exists }) => pid === group && exists);
      if (target) this.#signal(target, signal);
      return target !== undefined;
    },
    signal: (pid) => {
      const orphan = this.processes.find((process) => process.pid === -pid && process.orphan);
      if (orphan) orphan.orphan = false;
      return orphan !== undefined;
    },
  };

  get running(): SimulatedProcess[] {
    return this.processes.filter(({ exists }) => exists);
  }

  /** A running process ends without a signal. */
  crash(pick: number): void {
    const victim = this.running[pick % Math.max(this.running.length, 1)];
    if (!victim) return;
    victim.crashed = true;
    this.#end(victim, 1, null);
  }

  marked(entry: string): number[] {
    return this.processes.filter(({ mark, orphan }) => orphan && mark === entry).map(({ pid }) => -pid);
  }

  #signal(process: SimulatedProcess, signal: NodeJS.Signals): void {
    const manner = process.spec.argv[1];
    if (signal === 'SIGKILL') setTimeout(() => this.#end(process, null, 'SIGKILL'), 2);
    else if (manner !== 'stubborn')
      setTimeout(() => this.#end(process, null, 'SIGTERM'), manner === 'slow' ? SLOW_MS : 1);
  }

  #end(process: SimulatedProcess, exitCode: number | null, signal: string | null): void {
    if (!process.exists) return;
    process.exists = false;
    process.orphan = process.spec.argv[1] === 'forks';
    process.listener.exited(exitCode, signal);
  }
}
