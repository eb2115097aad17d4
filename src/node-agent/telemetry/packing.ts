import { type ChildProcess, spawn } from 'node:child_process';
import type { Sampler } from './sampler.ts';

/** A log of this size is packed while samples go on in the next one, characters: an hour of 8,000 series. */
const MOST_LOG = 64 * 1024 * 1024;
/** A smaller log is not worth a process of its own: the coordinator packs it at the end of the job. */
const LEAST_LOG = 1024 * 1024;
/** How long the end of an agent waits for the packing; what is not packed by then stays a log. */
const PATIENCE_MS = 8_000;

export interface PackingOptions {
  readonly sampler: Pick<Sampler, 'logSize' | 'turnLog' | 'stop'>;
  /** The program that packs (telemetry-pack.js). */
  readonly script: string;
  readonly log: { warn(detail: object, message: string): void };
}

/** Packs an agent's logs, in a process of low priority: memory and time of the agent stay for its processes. */
export class Packing {
  readonly #options: PackingOptions;
  readonly #running = new Map<ChildProcess, Promise<void>>();
  #turning: Promise<void> = Promise.resolve();

  constructor(options: PackingOptions) {
    this.#options = options;
  }

  /** Packs what a point has left. */
  pointEnded(): void {
    if (this.#options.sampler.logSize >= LEAST_LOG) this.#turn();
  }

  /** Packs a log that has become large. */
  batchSent(): void {
    if (this.#options.sampler.logSize >= MOST_LOG) this.#turn();
  }

  /** Ends the sampling; resolves when everything is packed, or stays a log. Never rejects. */
  async end(): Promise<void> {
    const { sampler } = this.#options;
    await this.#turning;
    const size = sampler.logSize;
    const path = await sampler.stop();
    if (size >= LEAST_LOG) this.#pack(path);
    const late = setTimeout(() => {
      for (const child of this.#running.keys()) child.kill('SIGKILL');
    }, PATIENCE_MS);
    await Promise.all(this.#running.values());
    clearTimeout(late);
  }

  #turn(): void {
    const { sampler } = this.#options;
    this.#turning = this.#turning.then(async () => this.#pack(await sampler.turnLog()));
  }

  #pack(path: string): void {
    const { script, log } = this.#options;
    const child = spawn(process.execPath, [script, path], { stdio: ['ignore', 'ignore', 'pipe'] });
    let says = '';
    child.stderr.setEncoding('utf8').on('data', (piece: string) => {
      says = `${says}${piece}`.slice(-2_000);
    });
    const ended = new Promise<void>((resolve) => {
      child.once('error', (error) => {
        log.warn({ error: String(error), path }, 'a log of telemetry is not packed');
        resolve();
      });
      child.once('close', (code) => {
        if (code !== 0) log.warn({ code, says, path }, 'a log of telemetry is not packed');
        resolve();
      });
    }).finally(() => this.#running.delete(child));
    this.#running.set(child, ended);
  }
}
