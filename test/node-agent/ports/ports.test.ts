import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ProcessSpec } from '../../../src/messages/spec/process-spec.ts';
import { processIdentity } from '../../../src/node-agent/leftovers/marks.ts';
import { parseSocket } from '../../../src/node-agent/ports/tcp-table.ts';
import type { Transition } from '../../../src/node-agent/processes/entry.ts';
import { ProcessTable } from '../../../src/node-agent/processes/process-table.ts';
import { osSpawner } from '../../../src/node-agent/start/spawn.ts';
import { freePort } from '../../../src/platform/local/local-platform.ts';
import { until } from '../../support/bus.ts';
import { specOf } from '../../support/spec.ts';

const HOST = '127.0.0.1';

let dir: string;
let table: ProcessTable;
let transitions: Transition[];
const strangers: ChildProcess[] = [];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
  transitions = [];
  table = tableOf('job');
});

/** The processes of a job on this node. */
const tableOf = (job: string): ProcessTable =>
  new ProcessTable({
    spawner: osSpawner,
    guard: { began: () => {}, over: () => {}, dismiss: async () => {} },
    agentMark: `${job}/${Math.random()}`,
    agentId: processIdentity(process.pid),
    jobNode: `${job}/node1`,
    listenAddress: HOST,
    environment: { PATH: process.env.PATH ?? '', SRTCTL_JOB: job },
    onTransition: (transition) => transitions.push(transition),
    onEmpty: () => {},
    onDefect: (what, error) => expect.fail(`${what}: ${String(error)}`),
  });

afterEach(async () => {
  table.killAll();
  await until('nothing is left', () => table.alive === 0);
  for (const stranger of strangers.splice(0)) stranger.kill('SIGKILL');
  await rm(dir, { recursive: true, force: true });
});

const last = (id: string) => transitions.filter((entry) => entry.spec.id === id).at(-1);
const reach = (id: string, state: string) => until(`${id} ${state}`, () => last(id)?.to === state);

/** A server that answers 200 to everything, on the port of its argument. */
const SERVER = `require('node:http').createServer((_, response) => response.end('ok'))
  .listen({ port: Number(process.argv[1]), host: process.argv[2] }, () => console.log('listens'))`;
const server = (port: number, host = HOST): string[] => [process.execPath, '-e', SERVER, String(port), host];

/** A server of another program; resolves when it listens. */
async function stranger(argv: string[]): Promise<ChildProcess> {
  const [command = '', ...args] = argv;
  const child = spawn(command, args, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { PATH: process.env.PATH },
  });
  strangers.push(child);
  await once(child.stdout ?? child, 'data');
  return child;
}

function serving(port: number, over: Partial<ProcessSpec> = {}): ProcessSpec {
  const probe = { kind: 'http', host: HOST, port, path: '/health' } as const;
  return specOf({ id: 'engine', argv: server(port), ports: { http: port }, probe, ...over }, dir);
}

describe('a port that another program holds', () => {
  it.each(['127.0.0.1', '0.0.0.0', '::'])(
    'is refused before the start, with its holder (%s)',
    async (host) => {
      const port = await freePort(HOST);
      const { pid } = await stranger(server(port, host));
      table.apply([serving(port)], 1, 'test');
      await reach('engine', 'failed');
      const { username } = userInfo();
      expect(last('engine')?.why).toContain(
        `port ${port} of node1, which engine needs (http), is taken by pid ${pid} of user ${username}: ${process.execPath} -e`,
      );
      expect(transitions.map(({ to }) => to)).toEqual(['waiting', 'preparing', 'failed']);
    },
  );

  it.each(['http', 'nccl', 'distInit', 'dpRpc', 'bootstrap'])(
    'is named with the job of its process, when that is another job of srtctl (%s)',
    async (name) => {
      const port = await freePort(HOST);
      const other = tableOf('other-job');
      other.apply([serving(port, { id: 'holder' })], 1, 'test');
      await reach('holder', 'ready');
      const probe = { kind: 'running' } as const;
      table.apply([serving(port, { ports: { [name]: port }, probe })], 1, 'test');
      await reach('engine', 'failed');
      expect(last('engine')?.why).toMatch(
        new RegExp(
          `port ${port} of node1, which engine needs \\(${name}\\), is taken by pid ${last('holder')?.pid} of user \\S+, job other-job: `,
        ),
      );
      expect(transitions.filter(({ spec }) => spec.id === 'engine').map(({ to }) => to)).not.toContain(
        'starting',
      );
      other.killAll();
      await until('nothing is left of the other job', () => other.alive === 0);
    },
  );

  it('does not matter when the program listens on another address', async () => {
    const port = await freePort(HOST);
    await stranger(server(port, '127.0.0.77'));
    table.apply([serving(port)], 1, 'test');
    await reach('engine', 'ready');
  });

  it('never makes a process ready that is still loading', async () => {
    const port = await freePort(HOST);
    table.apply([serving(port, { argv: ['sleep', '600'] })], 1, 'test');
    await reach('engine', 'starting');
    const { pid } = await stranger(server(port));
    await reach('engine', 'failed');
    expect(transitions.map(({ to }) => to)).not.toContain('ready');
    expect(last('engine')?.why).toContain(
      `port ${port} is answered by another program and not by this process: pid ${pid} of user`,
    );
  });

  it('is reported when it does not answer as a healthy process would', async () => {
    const port = await freePort(HOST);
    table.apply([serving(port, { argv: ['sleep', '600'] })], 1, 'test');
    await reach('engine', 'starting');
    const refusing = SERVER.replace("response.end('ok')", 'response.writeHead(503).end()');
    await stranger([process.execPath, '-e', refusing, String(port), HOST]);
    await reach('engine', 'failed');
    expect(last('engine')?.why).toContain('is answered by another program');
  });

  it('is detected when the kernel distributes connections over both (SO_REUSEPORT)', async () => {
    const shared = [
      'python3',
      '-uc',
      `import http.server, socket, sys
socket.socket.bind = (lambda bind: lambda self, at: (self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1), bind(self, at)))(socket.socket.bind)
server = http.server.ThreadingHTTPServer(('${HOST}', int(sys.argv[1])), http.server.SimpleHTTPRequestHandler)
print('listens')
server.serve_forever()`,
    ];
    const port = await freePort(HOST);
    const probe = { kind: 'tcp', host: HOST, port } as const;
    table.apply([serving(port, { argv: ['sleep', '600'], probe })], 1, 'test');
    await reach('engine', 'starting');
    table.apply([serving(port, { argv: [...shared, String(port)], probe })], 2, 'test');
    await Promise.all([reach('engine', 'starting'), stranger([...shared, String(port)])]);
    await reach('engine', 'failed');
    expect(last('engine')?.why).toContain('is answered by another program');
  });

  it('is waited for when it is about to be released', async () => {
    const port = await freePort(HOST);
    const holder = createServer().listen(port, HOST);
    await once(holder, 'listening');
    table.apply([serving(port)], 1, 'test');
    await reach('engine', 'preparing');
    holder.close();
    await reach('engine', 'ready');
  });

  it('is not reported for a process of the table that has not released it yet', async () => {
    const port = await freePort(HOST);
    const slow = `process.on('SIGTERM', () => setTimeout(() => process.exit(), 2_000));${SERVER}`;
    const argv = [process.execPath, '-e', slow, String(port), HOST];
    table.apply([serving(port, { argv, graceMs: 10_000 })], 1, 'test');
    await reach('engine', 'ready');
    expect(await table.taken([{ id: 'next', ports: { http: port } }])).toEqual([]);
    table.apply([serving(port, { id: 'next' })], 2, 'test');
    await reach('next', 'ready');
    expect(last('next')?.why).toMatch(/^\/health answers HTTP 200/);
  });
});

describe('a process that listens below its first process', () => {
  const child = (how: string): string[] => [
    process.execPath,
    '-e',
    `const { spawn } = require('node:child_process');
const argv = ${JSON.stringify(['-e', SERVER])}.concat(process.argv.slice(1));
${how}
setInterval(() => {}, 1_000);`,
  ];
  it.each([
    ['in a session of its own', `spawn(process.execPath, argv, { detached: true, stdio: 'inherit' });`],
    [
      'in a session of its own and without its environment',
      `spawn(process.execPath, argv, { detached: true, stdio: 'inherit', env: {} });`,
    ],
    [
      'when its parent has ended',
      `spawn('sh', ['-c', 'setsid "$0" "$@" &', process.execPath, ...argv], { stdio: 'inherit' });`,
    ],
  ])('is ready %s', async (_, how) => {
    const port = await freePort(HOST);
    const argv = [...child(how), String(port), HOST];
    table.apply([serving(port, { argv })], 1, 'test');
    await reach('engine', 'ready');
    expect(last('engine')?.why).toMatch(/^\/health answers HTTP 200 after [\d.]+ s$/);
    endServersOn(port);
  });
});

/** An agent ends such a process by the mark that it inherits; this process has none to give. */
function endServersOn(port: number): void {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    const words = (() => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      } catch {
        return [];
      }
    })();
    if (words.includes(SERVER) && words.includes(String(port))) process.kill(Number(pid), 'SIGKILL');
  }
}

describe('the table of sockets', () => {
  it('is parsed as proc(5) describes it', () => {
    const heading =
      '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode';
    expect(parseSocket(heading)).toBeUndefined();
    const tail = '00000000:00000000 00:00000000 00000000  1000        0 4242 1 0000000000000000 100 0 0 10 0';
    expect(parseSocket(`   0: 0200007F:1F40 00000000:0000 0A ${tail}`)).toEqual({
      address: '127.0.0.2',
      port: 8000,
      listens: true,
      uid: 1000,
      inode: 4242,
    });
    const every = `${'0'.repeat(32)}:1F40 ${'0'.repeat(32)}:0000`;
    expect(parseSocket(`   1: ${every} 0A ${tail}`)).toMatchObject({ address: '::', port: 8000 });
    const mapped = `0000000000000000FFFF00000200007F:1F40 ${'0'.repeat(32)}:0000`;
    expect(parseSocket(`   2: ${mapped} 01 ${tail}`)).toMatchObject({ address: '127.0.0.2', listens: false });
  });
});
