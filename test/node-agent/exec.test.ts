import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EventBody } from '../../src/messages/events/events.ts';
import {
  type ExecReply,
  type ExecRequest,
  execReplySchema,
  execRequestSchema,
} from '../../src/messages/events/exec.ts';
import { ExecRequests } from '../../src/node-agent/exec/exec-requests.ts';
import { findMarker, ownerMark } from '../../src/os/processes/owner-mark.ts';
import { exists, until } from '../support/bus.ts';
import { specOf } from '../support/spec.ts';

let directory: string;
let events: EventBody[];
let groups: Set<number>;
let requests: ExecRequests;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
  events = [];
  groups = new Set();
  const hard = ownerMark(process.pid, 'agent');
  const marker = hard === undefined ? undefined : findMarker(hard);
  const spec = specOf({ id: 'decode-0-0', env: { OF_PROCESS: 'yes' }, cwd: directory });
  requests = new ExecRequests({
    node: 'node1',
    agentMark: `exec-test-${process.pid}/node1/i`,
    agentId: '1',
    jobNode: `exec-test-${process.pid}/node1`,
    environment: { PATH: process.env.PATH ?? '', OF_AGENT: 'yes' },
    keeper: undefined,
    owner: hard !== undefined && marker ? { hard, marker } : undefined,
    guard: {
      began: (group) => groups.add(group),
      over: (group) => groups.delete(group),
      dismiss: async () => {},
    },
    table: {
      specOf: (id) => (id === spec.id ? spec : undefined),
      reports: () => [
        { id: spec.id, state: 'ready', pid: 4711, generation: 1, why: '', exitCode: null, signal: null },
      ],
    },
    outbox: { send: (body) => events.push(body), flush: async () => true, unsent: () => [] },
    log: pino({ level: 'silent' }),
    onDefect: () => {},
  });
});
afterEach(async () => {
  await requests.endAll();
  await rm(directory, { recursive: true, force: true });
});

let commands = 0;
const newId = (): string => `command-${++commands}`;

async function ask(
  request: Omit<Extract<ExecRequest, { do: 'start' }>, 'v' | 'do'> | object,
): Promise<ExecReply> {
  let reply: unknown;
  const message = execRequestSchema.parse({ v: 1, ...request });
  await requests.answer({ subject: '', message, respond: (answer) => (reply = answer) });
  return execReplySchema.parse(reply);
}
const start = (argv: readonly string[], over: object = {}) => {
  const id = newId();
  return ask({ do: 'start', id, process: 'decode-0-0', argv, by: 'alice', limitMs: 60_000, ...over }).then(
    (reply) => ({ id, reply }),
  );
};

/** Reads a command to its end. */
async function readAll(id: string) {
  const said = { stdout: '', stderr: '' };
  let after = 0;
  for (;;) {
    const reply = await ask({ do: 'read', id, after, waitMs: 1_000 });
    if (!reply.ok) throw new Error(reply.reason);
    for (const { number, stream, data } of reply.pieces) {
      said[stream] += Buffer.from(data, 'base64').toString();
      after = number;
    }
    if (reply.end) return { ...said, end: reply.end };
  }
}

describe('a command on a node', () => {
  it('has the environment, the directory and the pid of its process, and its words as they are', async () => {
    const script = 'echo "$OF_AGENT $OF_PROCESS $SRTCTL_PROCESS_PID $PWD"; echo "$1" >&2; exit 7';
    const { id } = await start(['sh', '-c', script, 'sh', '$(touch never); "quoted"']);
    expect(await readAll(id)).toEqual({
      stdout: `yes yes 4711 ${directory}\n`,
      stderr: '$(touch never); "quoted"\n',
      end: { exitCode: 7, signal: null },
    });
    expect(existsSync(join(directory, 'never'))).toBe(false);
    expect(events).toMatchObject([
      { kind: 'process.exec', process: 'decode-0-0', by: 'alice', program: 'sh', args: 4, to: 'started' },
      { kind: 'process.exec', to: 'ended', exitCode: 7, why: 'exit code 7' },
    ]);
    // Arguments may hold secrets.
    expect(JSON.stringify(events)).not.toContain('quoted');
    expect(groups.size).toBe(0);
  });

  it('is refused when the program or the process is not there', async () => {
    expect((await start(['no-such-program'])).reply).toEqual({
      v: 1,
      ok: false,
      reason: 'command not found: no-such-program',
    });
    expect((await start(['true'], { process: 'decode-9-0' })).reply).toMatchObject({
      reason: 'decode-9-0 does not run on this node',
    });
    expect(events).toEqual([]);
  });

  it('carries the mark of the agent, which its children inherit, and leaves none of them', async () => {
    const { id } = await start(['sh', '-c', 'sleep 1000 & echo $!; cat /proc/self/limits']);
    const { stdout, end } = await readAll(id);
    expect(end.exitCode).toBe(0);
    const child = Number(stdout.split('\n')[0]);
    await until('the end of the child', () => !exists(child));
    const hard = ownerMark(process.pid, 'agent');
    expect(stdout).toMatch(new RegExp(`^Max file locks +\\d+ +${hard} `, 'm'));
  });

  it('is ended after its time, when it is asked to stop, and with the agent', async () => {
    const late = await start(['sleep', '1000'], { limitMs: 50 });
    expect((await readAll(late.id)).end).toMatchObject({
      signal: 'SIGTERM',
      stoppedBecause: 'it took longer than 0.05 s',
    });
    const stopped = await start(['sh', '-c', 'trap "" TERM; echo up; sleep 1000']);
    await ask({ do: 'read', id: stopped.id, after: 0, waitMs: 5_000 });
    await ask({ do: 'stop', id: stopped.id });
    expect((await readAll(stopped.id)).end).toMatchObject({
      signal: 'SIGKILL',
      stoppedBecause: 'it was asked to stop',
    });
    const left = await start(['sleep', '1000']);
    await requests.endAll();
    expect((await readAll(left.id)).end).toMatchObject({
      signal: 'SIGKILL',
      stoppedBecause: 'the agent ends',
    });
    expect(groups.size).toBe(0);
  });

  it('waits while its output is not taken, and loses none of it', async () => {
    const { id } = await start(['sh', '-c', 'head -c 5000000 /dev/zero | tr "\\0" x; echo done > said']);
    await until('output', async () => {
      const reply = await ask({ do: 'read', id, after: 0, waitMs: 100 });
      return reply.ok && reply.pieces.length > 0;
    });
    expect(existsSync(join(directory, 'said'))).toBe(false);
    const { stdout, end } = await readAll(id);
    expect({ length: stdout.length, end }).toEqual({ length: 5_000_000, end: { exitCode: 0, signal: null } });
    expect(await readFile(join(directory, 'said'), 'utf8')).toBe('done\n');
  });

  it('starts once however often the request is repeated, and a lost answer comes again', async () => {
    const request = {
      ...{ do: 'start', id: newId(), process: null, argv: ['sh', '-c', 'echo x >> count; cat count'] },
      ...{ by: 'alice', limitMs: 60_000 },
    };
    const inDirectory = { ...request, process: 'decode-0-0' };
    for (let time = 0; time < 3; time++) await ask(inDirectory);
    const first = await readAll(inDirectory.id);
    expect(first.stdout).toBe('x\n');
    expect(events).toHaveLength(2);
  });
});
