import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, type NatsConnection } from 'nats';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findProgram } from '../../../src/os/find-program.ts';
import { natsLogins, natsPayload } from '../../../src/plan/infra.ts';
import { recipeSchema } from '../../../src/recipe/layouts/recipe-schema.ts';
import { startTestBus, type TestBus } from '../../support/bus.ts';

const recipe = (more: Record<string, unknown>) =>
  recipeSchema.parse({
    name: 'logins',
    model: { path: '/model', container: 'none', precision: 'bf16' },
    resources: { gpu_type: 'h100', gpus_per_node: 1, agg_nodes: 1, agg_workers: 1 },
    backend: { type: 'mocker' },
    benchmark: { type: 'manual' },
    ...more,
  });
const LOGINS = natsLogins([
  recipe({ environment: { NATS_AUTH_USERNAME: 'workload', NATS_AUTH_PASSWORD: 'a "\\secret' } }),
  recipe({ environment: { NATS_AUTH_USERNAME: 'user', NATS_AUTH_PASSWORD: 'another' } }),
]);

describe('nats-server for engines', () => {
  let bus: TestBus;
  const open: NatsConnection[] = [];
  beforeAll(async () => {
    bus = await startTestBus('engines', ['node1'], undefined, { maxPayloadMb: 3, logins: LOGINS });
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

  it('accepts the default name and password of Dynamo, and a client without a name', async () => {
    const [dynamo, nameless] = [await login({ user: 'user', pass: 'user' }), await login({})];
    const heard = new Promise((resolve) =>
      nameless.subscribe('from.dynamo', { max: 1, callback: (_, message) => resolve(message.string()) }),
    );
    await nameless.flush();
    dynamo.publish('from.dynamo', 'hello');
    expect(await heard).toBe('hello');
    await expect(login({ user: 'somebody', pass: 'else' })).rejects.toThrow(/AUTHORIZATION/i);
  });

  it('accepts the name and password that the recipe gives to its engines', async () => {
    const { info } = await login({ user: 'workload', pass: 'a "\\secret' });
    expect(info).toBeDefined();
    await expect(login({ user: 'workload', pass: 'else' })).rejects.toThrow(/AUTHORIZATION/i);
  });

  it('accepts messages of the size that the recipe sets', async () => {
    const { info } = await login({});
    expect(info?.max_payload).toBe(3 * 1024 * 1024);
  });
});

it('knows the logins of all modes and of the frontend, but none that its file cannot contain', () => {
  const login = (user: string, password = 'p') => ({
    NATS_AUTH_USERNAME: user,
    NATS_AUTH_PASSWORD: password,
  });
  const recipes = [
    recipe({
      environment: { NATS_AUTH_PASSWORD: 'p' },
      backend: {
        type: 'mocker',
        prefill_environment: login('a'),
        decode_environment: { NATS_AUTH_USERNAME: 'b' },
        aggregated_environment: login('line\nbreak'),
      },
      frontend: { type: 'dynamo', env: login('c', 'q') },
    }),
    recipe({ environment: login('a', 'later') }),
    recipe({ environment: login('d', '$2a$11$hash') }),
  ];
  expect(natsLogins(recipes)).toEqual([
    { user: 'a', password: 'p' },
    { user: 'b', password: 'p' },
    { user: 'c', password: 'q' },
  ]);
});

it.each([1, 32, 64, 1000])('starts with a largest message of %i MB', (mb) => {
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
