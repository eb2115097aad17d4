import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Epoch } from '../../messages/spec/counters.ts';

/**
 * Its content changes as long as the job has a coordinator. It is in the job's directory, so every node can read it.
 */
export const aliveFile = (jobDir: string): string => join(jobDir, '.coordinator-alive');

/** How often it changes, ms. Seldom, because all users share the file system. */
export const ALIVE_EVERY_MS = 5_000;

/**
 * Shows agents that receive nothing over the bus whether the coordinator is alive. A node that is cut off must not end
 * the other nodes' job; the last nodes of a job whose head node is lost must (node-agent/leftovers/end-orphaned-job.ts).
 */
export class AliveFile {
  readonly #path: string;
  readonly #epoch: Epoch;
  #count = 0;
  #writtenAt = Number.NEGATIVE_INFINITY;
  #writing: Promise<void> | undefined;

  constructor(jobDir: string, epoch: Epoch) {
    this.#path = aliveFile(jobDir);
    this.#epoch = epoch;
  }

  /** Called at each lease. Never waits for the file system, because a stalled file system must not delay the lease. */
  tick(): void {
    const now = performance.now();
    if (this.#writing || now - this.#writtenAt < ALIVE_EVERY_MS) return;
    this.#writtenAt = now;
    this.#writing = writeFile(this.#path, `${this.#epoch}.${++this.#count}\n`, { mode: 0o644 })
      .catch(() => undefined)
      .finally(() => {
        this.#writing = undefined;
      });
  }

  async remove(): Promise<void> {
    await this.#writing;
    await rm(this.#path, { force: true });
  }
}
