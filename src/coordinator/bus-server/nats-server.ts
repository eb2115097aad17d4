import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { writePrivateFile } from '../../os/private-files.ts';
import {
  adopt,
  childHandle,
  type ProcessHandle,
  type ProcessName,
  processName,
} from '../../os/processes/process-handle.ts';
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
  /** Puts the coordinator's mark on a command. */
  readonly mark?: ((argv: readonly string[]) => string[]) | undefined;
  readonly began: (pid: number) => void;
  readonly over: (pid: number) => void;
  /** A server runs that did not before: its pid is another. */
  readonly onStarted?: () => void;
  readonly onRestart: (why: string) => void;
  /** It ends again and again: there is no bus any more. */
  readonly onGone: (why: string) => void;
}

/** The job's nats-server: started on a free port, started again on the same one when it ends unasked. */
export class NatsServer {
  readonly #options: NatsServerOptions;
  #server: ProcessHandle | undefined;
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
    return this.#server?.pid;
  }
  /** What a coordinator that takes over needs to find it. */
  get name(): ProcessName & { readonly port: number } {
    const { pid = 0, startedAt = '' } = this.#server ?? {};
    return { pid, startedAt, port: this.#port };
  }

  /** Resolves when it listens. Rejects with its last words when it does not. */
  async start(): Promise<void> {
    // A coordinator that was killed early may have left a server without writing its keys down. It is of no use to us.
    for (const left of serversOf(this.#configFile)) {
      left.kill('SIGKILL');
      await left.ended;
    }
    await this.#emptyPorts();
    await this.#launch();
    this.#port = await this.#readPort();
  }

  /**
   * Goes on with the server of a coordinator that was killed, or with a new one on its port and its files. That
   * coordinator may have started its server again just before it was killed, and not have written down the new pid. A
   * server that was just started may not listen yet; clients try until it does (messages/nats-bus.ts).
   */
  async takeOver(last: ProcessName & { readonly port: number }): Promise<void> {
    const server = adopt(last) ?? serversOf(this.#configFile)[0];
    if (server) {
      this.#port = last.port;
      this.#watch(server);
      return;
    }
    await this.#emptyPorts();
    await this.#launch(last.port);
    this.#port = await this.#readPort();
  }

  /** SIGTERM, then SIGKILL when it does not end. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const server = this.#server;
    if (!server || server.hasEnded) return;
    server.kill('SIGTERM');
    const timer = setTimeout(() => server.kill('SIGKILL'), STOP_GRACE_MS);
    await server.ended;
    clearTimeout(timer);
  }

  get #configFile(): string {
    return join(this.#options.directory, 'nats.conf');
  }

  /** What a server that was killed has left there names its port, not that the next one listens. */
  async #emptyPorts(): Promise<void> {
    const ports = join(this.#options.directory, 'ports');
    await rm(ports, { recursive: true, force: true });
    await mkdir(ports, { recursive: true });
  }

  async #launch(port = this.#port): Promise<void> {
    const { directory, binary } = this.#options;
    const configFile = this.#configFile;
    const { tls } = this.#options.keys;
    const [certFile, keyFile] = [join(directory, 'server.pem'), join(directory, 'server.key')];
    if (tls) await Promise.all([writePrivateFile(certFile, tls.cert), writePrivateFile(keyFile, tls.key)]);
    const config = natsConfig({
      ...this.#options,
      ...(tls ? { tls: { certFile, keyFile } } : {}),
      host: this.#options.listen ?? this.#options.host,
      port,
      storeDir: join(directory, 'jetstream'),
      portsDir: join(directory, 'ports'),
      pidFile: join(directory, 'nats.pid'),
    });
    // Of srtctl's users it holds public keys only, but passwords of the recipe, too, and who listens where.
    await writePrivateFile(configFile, config);
    if (this.#stopping) return;
    this.#watch(launch(this.#options.mark, [binary, '-c', configFile]));
  }

  #watch(server: ProcessHandle): void {
    const { began, over, onRestart, onGone, onStarted } = this.#options;
    this.#server = server;
    const startedAt = performance.now();
    if (server.pid > 0) began(server.pid);
    onStarted?.();
    void server.ended.then(async (how) => {
      if (server.pid > 0) over(server.pid);
      if (this.#stopping || this.#port === -1) return;
      const why = `nats-server ended (${how}): ${await this.#lastWords()}`;
      if (this.#stopping) return;
      this.#soon = performance.now() - startedAt < SOON_MS ? this.#soon + 1 : 1;
      if (this.#soon > MAX_SOON) {
        onGone(why);
        return;
      }
      onRestart(why);
      this.#launch().catch((error: unknown) => onGone(String(error)));
    });
  }

  /** The port that the server chose, from the file that it writes when it listens. */
  async #readPort(): Promise<number> {
    const portsDir = join(this.#options.directory, 'ports');
    const until = performance.now() + START_TIMEOUT_MS;
    while (performance.now() < until) {
      if (this.#server?.hasEnded) break;
      const file = (await readdir(portsDir)).find((name) => name.endsWith('.ports'));
      const text = file ? await readFile(join(portsDir, file), 'utf8') : '';
      const url = portsSchema.safeParse(tryJson(text)).data?.nats[0];
      if (url) {
        await rm(join(portsDir, file ?? ''), { force: true });
        return Number(new URL(url).port);
      }
      await sleep(10);
    }
    throw new Error(`nats-server did not start: ${await this.#lastWords()}`);
  }

  async #lastWords(): Promise<string> {
    const log = await readFile(this.#options.logFile, 'utf8').catch(() => '');
    return log.trim().split('\n').slice(-3).join(' / ') || 'it left no word';
  }
}

/** In a group of its own, and not ended with this process: the guard sees to that. It writes its log itself. */
function launch(mark: NatsServerOptions['mark'], argv: readonly string[]): ProcessHandle {
  const [command = '', ...args] = mark?.(argv) ?? argv;
  return childHandle(spawn(command, args, { detached: true, stdio: 'ignore' }));
}

/** Servers of a job, by the configuration that is theirs alone: its path is in a directory of this user and job. */
function serversOf(configFile: string): ProcessHandle[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const words = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      return words[words.lastIndexOf('-c') + 1] === configFile
        ? (adopt(processName(Number(name))) ?? [])
        : [];
    } catch {
      return [];
    }
  });
}

const portsSchema = z.object({ nats: z.array(z.string()).min(1) });

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
