import { readFileSync } from 'node:fs';

/**
 * How many processes the OOM killer has ended since the machine started, including cgroups' limits (proc(5),
 * /proc/vmstat, `oom_kill`; Linux 4.13). null where the kernel does not count.
 */
function countKills(): number | null {
  try {
    const count = /^oom_kill (\d+)$/m.exec(readFileSync('/proc/vmstat', 'utf8'))?.[1];
    return count === undefined ? null : Number(count);
  } catch {
    return null;
  }
}

/**
 * Detects whether an unexpected SIGKILL came from the OOM killer. Most clusters hide the kernel's log (dmesg)
 * from users, but not its counter. `tick` is called each second, so that the reference is a moment old.
 */
export class OomWatch {
  readonly #count: () => number | null;
  #before: number | null;
  #now: number | null;

  constructor(count: () => number | null = countKills) {
    this.#count = count;
    this.#before = this.#now = count();
  }

  tick(): void {
    this.#before = this.#now;
    this.#now = this.#count();
  }

  /** Processes that the OOM killer ended within the last two ticks. */
  recentKills(): number {
    const count = this.#count();
    return count === null || this.#before === null ? 0 : Math.max(0, count - this.#before);
  }
}
