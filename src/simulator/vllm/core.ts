import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

const LOOK_MS = 100;
/** vLLM's API server ends by itself so long after its engine core has (0.32), with code 0. */
export const OUTLIVES_CORE_MS = 3_000;

/**
 * The engine core of vLLM: a process of its own with a title, in the same process group. Here it only has to be there:
 * requests are computed beside it, and stand still or fail with it.
 */
export class EngineCore {
  readonly #child: ChildProcess;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #stopped = false;
  dead = false;

  constructor(onDeath: () => void) {
    // It ends with this process, however that ends: what it reads from is closed then.
    this.#child = spawn('/bin/sh', ['-c', 'read -r _'], {
      argv0: 'VLLM::EngineCore',
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.#child.once('exit', () => {
      this.dead = true;
      onDeath();
    });
  }

  /** It was stopped (SIGSTOP), or has ended. */
  get stands(): boolean {
    if (this.dead) return true;
    const now = performance.now();
    if (now - this.#lookedAt < LOOK_MS) return this.#stopped;
    this.#lookedAt = now;
    try {
      const stat = readFileSync(`/proc/${this.#child.pid}/stat`, 'latin1');
      this.#stopped = stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
    } catch {
      // It ends just now.
    }
    return this.#stopped;
  }

  end(): void {
    this.#child.removeAllListeners('exit');
    this.#child.kill('SIGKILL');
  }
}
