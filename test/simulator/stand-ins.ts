import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { findProgram } from '../../src/os/find-program.ts';
import { freePort } from '../../src/platform/local/local-platform.ts';
import { until } from '../support/bus.ts';

const MOCK_BIN = resolve('dist/mock-bin');

/**
 * A loopback address for the simulated node `n` (1 to 50) that no other test process has, so that real ports
 * can be used.
 */
export const nodeAddress = (n: number): string =>
  `127.${200 + n}.${(process.pid >> 8) & 255}.${process.pid & 255}`;

/** A running stand-in, found along PATH by its real command line. */
export class StandIn {
  readonly child: ChildProcess;
  output = '';
  readonly #ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;

  constructor(address: string, argv: readonly string[], env: Record<string, string>) {
    const [command = '', ...args] = argv;
    this.child = spawn(command, args, {
      env: {
        ...process.env,
        PATH: `${MOCK_BIN}${delimiter}${process.env.PATH}`,
        SRTCTL_NODE_ADDRESS: address,
        SRTCTL_SIM_LOAD_MS: '0',
        SRTCTL_SIM_SPEED: '10',
        ...env,
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout, this.child.stderr])
      stream?.on('data', (data) => {
        this.output += data;
      });
    this.#ended = new Promise((settle) =>
      this.child.once('close', (code, signal) => settle({ code, signal })),
    );
  }

  /** Exit code, or the signal's name. */
  async ended(): Promise<number | string | null> {
    const { code, signal } = await this.#ended;
    return signal ?? code;
  }

  says(text: string | RegExp): Promise<unknown> {
    return until(`${text} in: ${this.output}`, () => this.output.match(text) !== null);
  }

  async destroy(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.#ended;
  }
}

const started: StandIn[] = [];

export function start(address: string, argv: readonly string[], env: Record<string, string> = {}): StandIn {
  const standIn = new StandIn(address, argv, env);
  started.push(standIn);
  return standIn;
}

/** For afterEach or afterAll: ends everything that this file has started. */
export const destroyAll = async (): Promise<void> => {
  await Promise.all(started.splice(0).map((each) => each.destroy()));
};

/** The command line of an engine as srtctl plans it, with additional options. */
export const engineArgv = (port: number, ...options: string[]): string[] => [
  ...['python3', '-m', 'sglang.launch_server', '--model-path', '/model', '--served-model-name', 'a/model'],
  ...['--host', '0.0.0.0', '--port', String(port), ...options],
];

/** Waits until `url` answers with 200. The error has the last words of all stand-ins. */
export async function healthy(url: string): Promise<void> {
  await until(`${url} healthy`, async () => (await fetch(url).catch(() => undefined))?.ok).catch((error) => {
    const words = started.map(({ child, output }) =>
      [child.spawnargs.join(' '), `exit code ${child.exitCode}`, output.slice(-500)].join('\n'),
    );
    throw new Error(`${error.message}\n${words.join('\n')}`);
  });
}

export const post = (url: string, body: unknown, signal?: AbortSignal): Promise<Response> =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
    ...(signal ? { signal } : {}),
  });

/** The etcd of this machine, if any; CI always has one. */
export function findEtcd(): string | undefined {
  try {
    return findProgram('etcd', process.env, process.cwd());
  } catch (error) {
    if (process.env.CI === 'true') throw error;
    return undefined;
  }
}

/** Starts an etcd that listens at `url`. Returns a function that ends it. */
async function startEtcd(program: string, url: string, dataDir: string): Promise<() => Promise<void>> {
  const { hostname } = new URL(url);
  const peer = `http://${hostname}:${await freePort(hostname)}`;
  const child = spawn(
    program,
    [
      ...['--data-dir', dataDir, '--name', 'one', '--log-level', 'error'],
      ...['--listen-client-urls', url, '--advertise-client-urls', url],
      ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer],
      ...['--initial-cluster', `one=${peer}`],
    ],
    { stdio: 'ignore' },
  );
  const ended = new Promise<void>((settle) => child.once('close', () => settle()));
  await healthy(`${url}/health`);
  return () => {
    child.kill('SIGKILL');
    return ended;
  };
}

/** Empties the registry, because killed processes stay registered until their leases expire. */
async function emptyEtcd(url: string): Promise<void> {
  const everything = Buffer.from([0]).toString('base64');
  await post(`${url}/v3/kv/deleterange`, { key: everything, range_end: everything });
}

/** The JSON of each event of a stream, and whether `[DONE]` ended it. */
export async function events<T>(response: Response): Promise<{ chunks: T[]; done: boolean }> {
  const data = (await response.text())
    .split('\n\n')
    .filter((event) => event !== '')
    .map((event) => event.replace(/^data: /, ''));
  return {
    chunks: data.filter((text) => text !== '[DONE]').map((text) => JSON.parse(text) as T),
    done: data.at(-1) === '[DONE]',
  };
}

/** The value of a metric without regard to its labels. */
export async function metric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const line = text.split('\n').find((each) => each.startsWith(`${name}{`) || each.startsWith(`${name} `));
  return Number(line?.split(' ').at(-1));
}

/**
 * An etcd at `url` for the tests of a file, empty after each of them, when all stand-ins have ended. Returns the path of a
 * directory that is there while the tests run.
 */
export function useEtcd(program: string | undefined, url: string): () => string {
  let directory = '';
  let stop = async (): Promise<void> => {};
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
    if (program) stop = await startEtcd(program, url, join(directory, 'etcd'));
  });
  afterEach(async () => {
    await destroyAll();
    if (program) await emptyEtcd(url);
  });
  afterAll(async () => {
    await stop();
    await rm(directory, { recursive: true, force: true });
  });
  return () => directory;
}
