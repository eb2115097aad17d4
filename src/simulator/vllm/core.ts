import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';

const LOOK_MS = 100;
/** vLLM's API server ends this long after its engine core (0.32), with code 0. */
export const OUTLIVES_CORE_MS = 3_000;

/**
 * The engine core of vLLM: a process of its own with a title, in the same process group. Here it only has to
 * exist: the server computes the requests, and stalls or fails them with it.
 */
export class EngineCore {
  readonly #child: ChildProcess;
  #lookedAt = Number.NEGATIVE_INFINITY;
  #stopped = false;
  dead = false;

  constructor(onDeath: () => void) {
    // The child ends with this process in any case, because its stdin is closed then.
    this.#child = spawn('/bin/sh', ['-c', 'read -r _'], {
      argv0: 'VLLM::EngineCore',
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.#child.once('exit', () => {
      this.dead = true;
      onDeath();
    });
  }

  /** Whether the core is stopped (SIGSTOP) or has ended. */
  get stands(): boolean {
    if (this.dead) return true;
    const now = performance.now();
    if (now - this.#lookedAt < LOOK_MS) return this.#stopped;
    this.#lookedAt = now;
    try {
      const stat = readFileSync(`/proc/${this.#child.pid}/stat`, 'latin1');
      this.#stopped = stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
    } catch {
      // The core ended just now.
    }
    return this.#stopped;
  }

  end(): void {
    this.#child.removeAllListeners('exit');
    this.#child.kill('SIGKILL');
  }
}
