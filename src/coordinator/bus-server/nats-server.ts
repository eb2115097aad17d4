import { spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { writePrivateFile } from '../../os/files/private-files.ts';
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
/** Ends of the server within this time of its start count as successive failures. */
const SOON_MS = 5_000;
const MAX_SOON = 5;

export interface NatsServerOptions
  extends Omit<NatsConfigInput, 'port' | 'storeDir' | 'portsDir' | 'pidFile' | 'tls'> {
  readonly binary: string;
  /**
   * The address to listen on, when it is not `host` alone: other nodes look the server up by name, which may have other
   * addresses.
   */
  readonly listen?: string;
  /** Node-local directory of the job; holds the configuration, JetStream's files and the ports file. */
  readonly directory: string;
  /** Puts the coordinator's mark on a command. */
  readonly mark?: ((argv: readonly string[]) => string[]) | undefined;
  readonly began: (pid: number) => void;
  readonly over: (pid: number) => void;
  /** Called when another server process runs, with another pid. */
  readonly onStarted?: () => void;
  readonly onRestart: (why: string) => void;
  /** Called when the server has ended too often, so that there is no bus any more. */
  readonly onGone: (why: string) => void;
}

/** The job's nats-server. It starts on a free port, and restarts on the same port when it ends unexpectedly. */
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
  /** The data by which a coordinator that takes over finds the server. */
  get name(): ProcessName & { readonly port: number } {
    const { pid = 0, startedAt = '' } = this.#server ?? {};
    return { pid, startedAt, port: this.#port };
  }

  /** Resolves when the server listens. Rejects with the server's last messages when it does not. */
  async start(): Promise<void> {
    // A coordinator that was killed early may have left a server whose keys it had not written down; such a server is
    // useless.
    for (const left of serversOf(this.#configFile)) {
      left.kill('SIGKILL');
      await left.ended;
    }
    await this.#emptyPorts();
    await this.#launch();
    this.#port = await this.#readPort();
  }

  /**
   * Takes over the server of a coordinator that was killed, or starts a new one on its port with its files. That
   * coordinator may have restarted its server just before it was killed, without writing down the new pid. A server
   * that has just started may not listen yet; clients try until it does (messages/bus/nats-bus.ts).
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

  /** The file of a killed server names that server's port, and does not mean that the next server listens. */
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
    // The file has only public keys of srtctl's users, but also passwords of the recipe, and the addresses that
    // programs listen on.
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

  /** The port that the server chose, from the file that the server writes when it listens. */
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

/**
 * The server has its own process group and does not end with this process, because the guard ends it. It writes its log
 * itself.
 */
function launch(mark: NatsServerOptions['mark'], argv: readonly string[]): ProcessHandle {
  const [command = '', ...args] = mark?.(argv) ?? argv;
  return childHandle(spawn(command, args, { detached: true, stdio: 'ignore' }));
}

/** Servers of a job. Each job has its own configuration file, in a directory of this user and job. */
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
