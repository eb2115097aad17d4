import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type NatsConnection } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findProgram } from '../../src/coordinator/find-program.ts';
import { natsPayload } from '../../src/plan/infra.ts';
import { startTestBus, type TestBus } from '../support/bus.ts';

describe('nats-server as engines find it', () => {
  let bus: TestBus;
  const open: NatsConnection[] = [];
  beforeAll(async () => {
    bus = await startTestBus('engines', ['node1'], undefined, 3);
  });
  afterAll(async () => {
    await Promise.all(open.map((connection) => connection.close()));
    await bus.stop();
  });
  const login = async (options: { user?: string; pass?: string }): Promise<NatsConnection> => {
    const connection = await connect({ servers: bus.nats.url, reconnect: false, ...options });
    open.push(connection);
    return connection;
  };

  it('takes the name and password that Dynamo uses when it is given none, and no name at all', async () => {
    const [dynamo, nameless] = [await login({ user: 'user', pass: 'user' }), await login({})];
    const heard = new Promise((resolve) =>
      nameless.subscribe('from.dynamo', { max: 1, callback: (_, message) => resolve(message.string()) }),
    );
    await nameless.flush();
    dynamo.publish('from.dynamo', 'hello');
    expect(await heard).toBe('hello');
    await expect(login({ user: 'somebody', pass: 'else' })).rejects.toThrow(/AUTHORIZATION/i);
  });

  it('takes messages as large as the recipe says', async () => {
    const { info } = await login({});
    expect(info?.max_payload).toBe(3 * 1024 * 1024);
  });
});

it.each([1, 32, 64, 1000])('a largest message of %i MB is one that nats-server starts with', (mb) => {
  const directory = mkdtempSync(join(tmpdir(), 'srtctl-test-'));
  try {
    const file = join(directory, 'nats.conf');
    writeFileSync(file, `${natsPayload(mb)}\n`);
    const server = findProgram('nats-server', process.env, process.cwd());
    const { status, stderr } = spawnSync(server, ['-t', '-c', file], { encoding: 'utf8' });
    expect(status, stderr).toBe(0);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
