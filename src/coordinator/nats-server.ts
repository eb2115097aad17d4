import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { type NatsConfigInput, natsConfig } from './nats-config.ts';

const START_TIMEOUT_MS = 15_000;
/** Ends within this time of a start count as one failure after the other. */
const SOON_MS = 5_000;
const MAX_SOON = 5;

export interface NatsServerOptions
  extends Omit<NatsConfigInput, 'port' | 'storeDir' | 'portsDir' | 'pidFile'> {
  readonly binary: string;
  /** Node-local directory of the job; holds the configuration, JetStream's files and the ports file. */
  readonly directory: string;
  readonly began: (pid: number) => void;
  readonly over: (pid: number) => void;
  readonly onRestart: (why: string) => void;
  /** It ends again and again: there is no bus any more. */
  readonly onGone: (why: string) => void;
}

/** The job's nats-server: started on a free port, started again on the same one when it ends unasked. */
export class NatsServer {
  readonly #options: NatsServerOptions;
  #child: ChildProcess | undefined;
  #port = -1;
  #stopping = false;
  #soon = 0;

  constructor(options: NatsServerOptions) {
    this.#options = options;
  }

  get url(): string {
    return `nats://${this.#options.host}:${this.#port}`;
  }
  get port(): number {
    return this.#port;
  }
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Resolves when it listens. Rejects with its last words when it does not. */
  async start(): Promise<void> {
    const { directory } = this.#options;
    await mkdir(join(directory, 'ports'), { recursive: true });
    await this.#launch();
    this.#port = await this.#readPort();
  }

  /** SIGTERM, then SIGKILL after `graceMs`. */
  async stop(graceMs = 2_000): Promise<void> {
    this.#stopping = true;
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
    await ended;
    clearTimeout(timer);
  }

  async #launch(): Promise<void> {
    const { directory, binary, began, over } = this.#options;
    const configFile = join(directory, 'nats.conf');
    const config = natsConfig({
      ...this.#options,
      port: this.#port,
      storeDir: join(directory, 'jetstream'),
      portsDir: join(directory, 'ports'),
      pidFile: join(directory, 'nats.pid'),
    });
    // Holds public keys only, but who listens where is nobody else's business.
    await writeFile(configFile, config, { mode: 0o600 });
    const child = spawn(binary, ['-c', configFile], { detached: true, stdio: ['ignore', 'ignore', 'pipe'] });
    let words = '';
    child.stderr.on('data', (data: Buffer) => {
      words = (words + data.toString()).slice(-4_000);
    });
    this.#child = child;
    const startedAt = performance.now();
    if (child.pid !== undefined) began(child.pid);
    child.once('error', (error) => this.#options.onGone(`nats-server cannot be started: ${error.message}`));
    child.once('exit', (code, signal) => {
      if (child.pid !== undefined) over(child.pid);
      if (this.#stopping || this.#port === -1) return;
      const why = `nats-server ended (${signal ?? `exit code ${code}`})${words ? `: ${words.trim().slice(-400)}` : ''}`;
      this.#soon = performance.now() - startedAt < SOON_MS ? this.#soon + 1 : 1;
      if (this.#soon > MAX_SOON) this.#options.onGone(why);
      else {
        this.#options.onRestart(why);
        void this.#launch().catch((error: unknown) => this.#options.onGone(String(error)));
      }
    });
  }

  /** The port that the server chose, from the file that it writes when it listens. */
  async #readPort(): Promise<number> {
    const portsDir = join(this.#options.directory, 'ports');
    const until = performance.now() + START_TIMEOUT_MS;
    while (performance.now() < until) {
      const child = this.#child;
      if (child && (child.exitCode !== null || child.signalCode !== null)) break;
      const file = (await readdir(portsDir)).find((name) => name.endsWith('.ports'));
      const text = file ? await readFile(join(portsDir, file), 'utf8') : '';
      const url = portsSchema.safeParse(tryJson(text)).data?.nats[0];
      if (url) {
        await rm(join(portsDir, file ?? ''), { force: true });
        return Number(new URL(url).port);
      }
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    const log = await readFile(this.#options.logFile, 'utf8').catch(() => '');
    throw new Error(
      `nats-server did not start: ${log.trim().split('\n').slice(-3).join(' / ') || 'no word of it'}`,
    );
  }
}

const portsSchema = z.object({ nats: z.array(z.string()).min(1) });

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
