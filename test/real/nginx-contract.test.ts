import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { destroyAll, nodeAddress, type StandIn, start } from '../simulator/stand-ins.ts';
import { until } from '../support/bus.ts';
import { processOf } from '../support/plan.ts';
import { ask } from './support/answer.ts';
import { contract, type KnownDifference, type Side, type Step } from './support/contract.ts';
import { describeReal, programOf } from './support/programs.ts';

/** A router of the test behind nginx, with fixed answers. */
class Upstream {
  readonly #server: Server;
  #port = 0;

  constructor() {
    this.#server = createServer((request, response) => {
      const { method, url = '/', headers } = request;
      if (url === '/cut') {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.write('data: {"a":1}\n\n', () => response.destroy());
      } else if (url === '/stream') {
        response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
        response.write(': alive\n\n');
        response.end('data: {"a":1}\n\ndata: [DONE]\n\n');
      } else if (url === '/hang-up') request.socket.destroy();
      else if (url.startsWith('/status/'))
        response.writeHead(Number(url.slice(8)), { 'retry-after': '7' }).end('no luck');
      else {
        const { connection, host = '' } = headers;
        let length = 0;
        request.on('data', (data: Buffer) => {
          length += data.length;
        });
        request.on('end', () => {
          const body = { method, url, length, connection, host: host.replace(/:\d+$/, '') };
          response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body));
        });
      }
    });
  }

  async listen(): Promise<string> {
    // Routers keep nginx's connections open; a connection that closes as a POST arrives gives a 502.
    this.#server.keepAliveTimeout = 60_000;
    await new Promise<void>((resolve) => this.#server.listen(this.#port, '127.0.0.1', resolve));
    const address = this.#server.address();
    this.#port = typeof address === 'object' ? (address?.port ?? 0) : 0;
    return `127.0.0.1:${this.#port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
  }
}

/**
 * A host that drops connection requests: a stopped program with a full accept queue, so that the kernel drops
 * further connections.
 */
class Deaf {
  #child: ChildProcess | undefined;
  readonly #waiting: Socket[] = [];

  async listen(): Promise<string> {
    const program =
      "const s = require('node:net').createServer().listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => { console.log(s.address().port); setImmediate(() => process.kill(process.pid, 'SIGSTOP')); });";
    const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#child = child;
    const port = await new Promise<number>((resolve) =>
      child.stdout.once('data', (data) => resolve(Number(data))),
    );
    await until('a program that stands still', async () =>
      (await readFile(`/proc/${child.pid}/stat`, 'latin1')).includes(') T '),
    );
    // The kernel accepts connections until its queue is full.
    const isFull = async (): Promise<boolean> => {
      const socket = connect(port, '127.0.0.1').on('error', () => undefined);
      this.#waiting.push(socket);
      const connected = new Promise<boolean>((resolve) => socket.once('connect', () => resolve(true)));
      return !(await Promise.race([connected, setTimeout(300, false)]));
    };
    await until('a full queue', isFull);
    return `127.0.0.1:${port}`;
  }

  close(): Promise<void> {
    for (const socket of this.#waiting) socket.destroy();
    this.#child?.kill('SIGKILL');
    return Promise.resolve();
  }
}

/** An upstream of nginx. */
interface Place {
  listen(): Promise<string>;
  close(): Promise<void>;
}

interface NginxSide extends Side {
  readonly upstreams: readonly Place[];
}

const RECIPE = `name: several
model: { path: m, container: c, precision: fp8 }
resources: { gpu_type: h100, gpus_per_node: 4, agg_nodes: 3, agg_workers: 3 }
frontend: { type: sglang, enable_multiple_frontends: true, num_additional_frontends: 1 }
backend: { type: sglang }
benchmark: { type: manual }
`;

const steps: Step<NginxSide>[] = [
  { name: 'an answer', path: '/health', values: ['method', 'url'] },
  { name: 'a query', path: '/v1/models?a=1&b=%20', values: ['url'] },
  {
    name: 'a large body',
    path: '/v1/completions',
    body: { prompt: 'x'.repeat(3_000_000) },
    values: ['length'],
  },
  { name: 'connections that are kept', path: '/health', headers: { connection: 'close' } },
  { name: 'a stream', path: '/stream' },
  { name: 'a stream that breaks off', path: '/cut' },
  { name: 'an error', path: '/status/429', values: [''] },
  { name: 'an error of the upstream', path: '/status/503', values: [''] },
  { name: 'an upstream that hangs up', path: '/hang-up' },
  { name: 'one that hangs up on a POST', path: '/hang-up', body: { a: 1 } },
  { name: 'no method', path: '/health', method: 'DELETE', values: ['method'] },
  { name: 'one upstream ends', act: ({ upstreams }) => upstreams[0]?.close() ?? Promise.resolve() },
  ...[1, 2, 3].map((time) => ({ name: `an answer of the other one (${time})`, path: '/health' })),
  { name: 'both end', act: ({ upstreams }) => upstreams[1]?.close() ?? Promise.resolve() },
  { name: 'nobody is there', path: '/health' },
  { name: 'one is there again', act: ({ upstreams }) => upstreams[0]?.listen() ?? Promise.resolve() },
  { name: 'it answers', path: '/health', until: ({ status }) => status === 200 },
];

const known: KnownDifference[] = [];

describeReal('nginx and its stand-in', ['debian'], () => {
  let directory: string;
  const all: Place[] = [];
  const running: StandIn[] = [];
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'srtctl-real-'));
  });
  afterAll(async () => {
    // By SIGTERM, which nginx forwards to its workers.
    for (const each of running.splice(0)) {
      each.child.kill('SIGTERM');
      await each.ended();
    }
    await destroyAll();
    await Promise.all(all.map((each) => each.close()));
    await rm(directory, { recursive: true, force: true });
  });

  /** nginx with the configuration that srtctl writes, in front of two upstreams of the test. */
  async function side(
    name: string,
    program: string,
    address: string,
    upstreams: readonly Place[] = [new Upstream(), new Upstream()],
  ): Promise<NginxSide> {
    all.push(...upstreams);
    const places = await Promise.all(upstreams.map((each) => each.listen()));
    const scratch = join(directory, name);
    await mkdir(scratch);
    const given = processOf(RECIPE, 'nginx').files?.[0]?.content ?? '';
    const conf = given
      .replaceAll(/\S+\/(nginx[_.]\w+);/g, `${scratch}/$1;`)
      .replaceAll(/server [\w.]+:\d+/g, () => `server ${places.shift()}`)
      .replace(/listen \S+;/, `listen ${address}:8080;`);
    expect(places).toEqual([]);
    await writeFile(join(scratch, 'nginx.conf'), conf);
    running.push(start(address, [program, '-c', join(scratch, 'nginx.conf'), '-g', 'daemon off;']));
    const url = `http://${address}:8080`;
    await until(`${name} answers`, async () => (await ask(url, { path: '/health' })).status === 200);
    return { url, upstreams };
  }

  it('answer alike', async () => {
    const real = await side('real', programOf('debian', 'nginx'), nodeAddress(30));
    const standIn = await side('stand-in', 'nginx', nodeAddress(31));
    expect(await contract({ real, standIn }, steps, known)).toEqual([]);
  }, 60_000);

  it('a host that drops connection requests delays requests by seconds, fails none, and then gets none', async () => {
    const { url } = await side('deaf', programOf('debian', 'nginx'), nodeAddress(32), [
      new Deaf(),
      new Upstream(),
    ]);
    const rounds: number[] = [];
    for (let round = 0; round < 5; round++) {
      const answers = await Promise.all(
        Array.from({ length: 8 }, () => ask(url, { path: '/v1/completions', body: { prompt: 'a' } })),
      );
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
      rounds.push(Math.max(...answers.map(({ ms }) => ms)));
    }
    // The limit is 5 s; a busy machine takes longer.
    expect(Math.max(...rounds)).toBeLessThan(15_000);
    // After three failures nginx skips the host for 10 s.
    expect(rounds.filter((ms) => ms < 2_000).length, rounds.join(' ms, ')).toBeGreaterThanOrEqual(2);
  }, 90_000);

  it('end alike: with the same exit code for a wrong or missing configuration, and for SIGTERM', async () => {
    const file = join(directory, 'wrong.conf');
    await writeFile(file, 'events {}\nhttp { upstream { }\n');
    for (const argv of [['-c', join(directory, 'none.conf')], ['-c', file], ['-x']]) {
      const [real, standIn] = [programOf('debian', 'nginx'), 'nginx'].map((program) =>
        start(nodeAddress(30), [program, ...argv]),
      );
      expect(await standIn?.ended(), `${argv}: ${standIn?.output}`).toBe(await real?.ended());
    }
  });
});
