import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import * as z from 'zod';
import { writePrivateFile } from '../private-files.ts';
import { type NatsConfigInput, natsConfig } from './nats-config.ts';

const START_TIMEOUT_MS = 15_000;
const STOP_GRACE_MS = 2_000;
/** Ends within this time of a start count as one failure after the other. */
const SOON_MS = 5_000;
const MAX_SOON = 5;

export interface NatsServerOptions
  extends Omit<NatsConfigInput, 'port' | 'storeDir' | 'portsDir' | 'pidFile' | 'tls'> {
  readonly binary: string;
  /** What it listens on, where that is not `host` alone: other nodes reach it by name, on whatever address that is. */
  readonly listen?: string;
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
  #child: ReturnType<typeof launch> | undefined;
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

  /** SIGTERM, then SIGKILL when it does not end. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#child?.kill('SIGTERM');
    await this.#child;
  }

  async #launch(): Promise<void> {
    const { directory, binary, began, over } = this.#options;
    const configFile = join(directory, 'nats.conf');
    const { tls } = this.#options.keys;
    const [certFile, keyFile] = [join(directory, 'server.pem'), join(directory, 'server.key')];
    if (tls) await Promise.all([writePrivateFile(certFile, tls.cert), writePrivateFile(keyFile, tls.key)]);
    const config = natsConfig({
      ...this.#options,
      ...(tls ? { tls: { certFile, keyFile } } : {}),
      host: this.#options.listen ?? this.#options.host,
      port: this.#port,
      storeDir: join(directory, 'jetstream'),
      portsDir: join(directory, 'ports'),
      pidFile: join(directory, 'nats.pid'),
    });
    // Holds public keys only, but who listens where is nobody else's business.
    await writePrivateFile(configFile, config);
    if (this.#stopping) return;
    const child = launch(binary, configFile);
    this.#child = child;
    const startedAt = performance.now();
    const { pid } = child;
    if (pid !== undefined) began(pid);
    void child.then(async ({ exitCode, signal, originalMessage }) => {
      if (pid !== undefined) over(pid);
      if (this.#stopping || this.#port === -1) return;
      const how = signal ?? (exitCode === undefined ? originalMessage : `exit code ${exitCode}`);
      const why = `nats-server ended (${how}): ${await this.#lastWords()}`;
      if (this.#stopping) return;
      this.#soon = performance.now() - startedAt < SOON_MS ? this.#soon + 1 : 1;
      if (this.#soon > MAX_SOON) {
        this.#options.onGone(why);
        return;
      }
      this.#options.onRestart(why);
      this.#launch().catch((error: unknown) => this.#options.onGone(String(error)));
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
    throw new Error(`nats-server did not start: ${await this.#lastWords()}`);
  }

  async #lastWords(): Promise<string> {
    const log = await readFile(this.#options.logFile, 'utf8').catch(() => '');
    return log.trim().split('\n').slice(-3).join(' / ') || 'it left no word';
  }
}

/** In a group of its own, and not ended with this process: the guard sees to that. It writes its log itself. */
const launch = (binary: string, configFile: string) =>
  execa(binary, ['-c', configFile], {
    detached: true,
    cleanup: false,
    reject: false,
    stdio: 'ignore',
    forceKillAfterDelay: STOP_GRACE_MS,
  });

const portsSchema = z.object({ nats: z.array(z.string()).min(1) });

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
