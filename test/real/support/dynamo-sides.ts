import { type ChildProcess, spawn } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join, resolve } from 'node:path';
import { findProgram } from '../../../src/os/find-program.ts';
import { until } from '../../support/bus.ts';
import type { Side } from './contract.ts';
import { pythonOf } from './programs.ts';

export type Kind = 'real' | 'standIn';
type Environment = Readonly<Record<string, string>>;

/** The Python of each kind for `python3 -m MODULE`. */
const PYTHON: Record<Kind, readonly string[]> = {
  real: [pythonOf('dynamo')],
  standIn: [process.execPath, resolve('dist/simulator.js')],
};

export interface Started {
  readonly child: ChildProcess;
  readonly log: () => string;
  readonly ended: Promise<number | string>;
}

/** Dynamo reads DYN_SYSTEM_PORT as a signed number of 16 bits, and refuses ports above 32,767. */
const [FIRST_PORT, LAST_PORT] = [12_000, 32_000] as const;

async function freePort(host: string): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST_PORT, LAST_PORT);
    const server = createServer();
    const isFree = await new Promise<boolean>((settle) => {
      server.once('error', () => settle(false));
      server.listen(port, host, () => settle(true));
    });
    if (!isFree) continue;
    server.close();
    await once(server, 'close');
    return port;
  }
}

/** etcd, nats-server, Dynamo's frontend and its mockers: real ones, or stand-ins. */
export class DynamoSide implements Side {
  readonly kind: Kind;
  readonly host: string;
  readonly #directory: string;
  readonly #model: string;
  readonly #started: ChildProcess[] = [];
  readonly workers: Started[] = [];
  #frontendPort = 0;
  #registry = '';
  #nats = '';
  statusPort = 0;

  constructor(kind: Kind, directory: string, model: string) {
    this.kind = kind;
    this.host = kind === 'real' ? '127.94.0.1' : '127.94.0.2';
    this.#directory = join(directory, kind);
    this.#model = model;
    mkdirSync(this.#directory, { recursive: true });
  }

  get url(): string {
    return `http://${this.host}:${this.#frontendPort}`;
  }

  /** Starts the infrastructure and a frontend. */
  async begin(): Promise<void> {
    const { host } = this;
    const [client, peer, nats] = [await freePort(host), await freePort(host), await freePort(host)];
    this.#registry = `http://${host}:${client}`;
    this.#nats = `nats://${host}:${nats}`;
    const config = join(this.#directory, 'nats.conf');
    writeFileSync(
      config,
      `listen: "${host}:${nats}"\njetstream { store_dir: "${join(this.#directory, 'js')}" }\n` +
        'no_auth_user: user\nauthorization { users: [ { user: user, password: user } ] }\n',
    );
    this.#start('nats', [findProgram('nats-server', process.env, process.cwd()), '-c', config]);
    this.#start('etcd', [
      ...[
        findProgram('etcd', process.env, process.cwd()),
        '--name',
        'one',
        '--data-dir',
        join(this.#directory, 'etcd'),
      ],
      ...['--listen-client-urls', this.#registry, '--advertise-client-urls', this.#registry],
      ...['--listen-peer-urls', `http://${host}:${peer}`],
      ...['--initial-advertise-peer-urls', `http://${host}:${peer}`],
      ...['--initial-cluster', `one=http://${host}:${peer}`],
    ]);
    await until('etcd', async () => (await fetch(`${this.#registry}/health`).catch(() => undefined))?.ok);
    this.#frontendPort = await freePort(host);
    this.#start('frontend', [
      ...PYTHON[this.kind],
      '-m',
      'dynamo.frontend',
      `--http-port=${this.#frontendPort}`,
    ]);
    await until(
      'a frontend',
      async () => (await fetch(`${this.url}/live`).catch(() => undefined))?.ok,
      60_000,
    );
  }

  /** Starts another mocker; its status server listens on `statusPort`. */
  async worker(env: Environment = {}, options: readonly string[] = []): Promise<Started> {
    const { host } = this;
    this.statusPort = await freePort(host);
    const requests = await freePort(host);
    const name = `worker-${this.workers.length}`;
    const worker = this.#start(
      name,
      [
        ...[...PYTHON[this.kind], '-m', 'dynamo.mocker', '--model-path', this.#model, '--model-name', 'tiny'],
        ...['--speedup-ratio', '10.0', ...options],
      ],
      {
        DYN_SYSTEM_PORT: String(this.statusPort),
        DYN_TCP_RPC_HOST: host,
        DYN_TCP_RPC_PORT: String(requests),
        ...env,
      },
    );
    this.workers.push(worker);
    return worker;
  }

  /** All keys in the registry. */
  async keys(): Promise<string[]> {
    const body = JSON.stringify({ key: 'AA==', range_end: 'AA==', keys_only: true });
    const answer = await fetch(`${this.#registry}/v3/kv/range`, { method: 'POST', body });
    const { kvs = [] } = (await answer.json()) as { kvs?: { key: string }[] };
    return kvs.map(({ key }) => Buffer.from(key, 'base64').toString());
  }

  /** TTLs of the workers' leases, seconds. */
  async leases(): Promise<number[]> {
    const ask = async (path: string, body: object) =>
      (await (
        await fetch(`${this.#registry}/v3/${path}`, { method: 'POST', body: JSON.stringify(body) })
      ).json()) as {
        leases?: { ID: string }[];
        grantedTTL?: string;
        keys?: string[];
      };
    const { leases = [] } = await ask('lease/leases', {});
    const granted = await Promise.all(leases.map(({ ID }) => ask('lease/timetolive', { ID, keys: true })));
    return granted.filter(({ keys = [] }) => keys.length > 0).map(({ grantedTTL }) => Number(grantedTTL));
  }

  end(): void {
    for (const child of this.#started.splice(0)) child.kill('SIGKILL');
  }

  #start(name: string, [program = '', ...args]: readonly string[], env: Environment = {}): Started {
    const file = join(this.#directory, `${name}.log`);
    const log = openSync(file, 'w');
    const child = spawn(program, args, {
      stdio: ['ignore', log, log],
      env: {
        ...process.env,
        ...{ ETCD_ENDPOINTS: this.#registry, NATS_SERVER: this.#nats, DYN_REQUEST_PLANE: 'tcp' },
        ...{ DYN_SYSTEM_HOST: this.host, DYN_HTTP_HOST: this.host, SRTCTL_NODE_ADDRESS: this.host },
        ...{ DYN_EVENT_PLANE_HOST: this.host, DYN_TCP_RESPONSE_STREAM_HOST: this.host, HF_HUB_OFFLINE: '1' },
        ...env,
      },
    });
    closeSync(log);
    this.#started.push(child);
    const ended = new Promise<number | string>((settle) =>
      child.once('exit', (code, how) => settle(how ?? code ?? -1)),
    );
    return { child, log: () => readFileSync(file, 'utf8'), ended };
  }
}
