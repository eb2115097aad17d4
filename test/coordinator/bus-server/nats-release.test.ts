import { describe, expect, it } from 'vitest';
import {
  type NatsChoice,
  type NatsPrograms,
  natsServerFor,
} from '../../../src/coordinator/bus-server/nats-release.ts';
import { recipeSchema } from '../../../src/recipe/layouts/recipe-schema.ts';

const recipe = (dynamo: object, frontend: object = { type: 'dynamo' }) =>
  recipeSchema.parse({
    name: 'a',
    model: { path: '/m', container: 'c', precision: 'fp8' },
    resources: { gpu_type: 'h100', gpus_per_node: 4, agg_nodes: 1, agg_workers: 1 },
    backend: { type: 'sglang' },
    benchmark: { type: 'manual' },
    ...{ frontend, dynamo },
  });

const choice = (dynamo: object, more: Partial<NatsChoice> = {}): NatsChoice => ({
  recipes: [recipe(dynamo)],
  ...{ mock: false, env: {}, cwd: '/', ...more },
});

const programs = (version: string, newer?: string): NatsPrograms => ({
  usual: () => '/usr/sbin/nats-server',
  newer: () => newer,
  versionOf: () => version,
});

describe('the nats-server of a job', () => {
  it('is the newer one when the usual one is too old for a Dynamo before 1.0 or of unknown version', () => {
    for (const dynamo of [{ version: '0.8.1' }, { wheel: '0.9.0' }, {}])
      expect(natsServerFor(choice(dynamo), programs('2.9.10', '/newer/nats-server')).binary).toBe(
        '/newer/nats-server',
      );
  });

  it('is refused with a hint when a Dynamo before 1.0 cannot run with it', () => {
    expect(() => natsServerFor(choice({ version: '0.8.1' }), programs('2.9.10'))).toThrow(
      'Dynamo 0.8.1 does not run with nats-server 2.9.10 (/usr/sbin/nats-server), it needs 2.10.8 or newer',
    );
  });

  it('is used with a warning when the image may contain a Dynamo before 1.0', () => {
    const { binary, warning } = natsServerFor(choice({}), programs('2.9.10'));
    expect(binary).toBe('/usr/sbin/nats-server');
    expect(warning).toMatch(/Dynamo before 1\.0 does not run with nats-server 2\.9\.10/);
  });

  it.each(['2.10.8', '2.10.25', '2.15.1', '3.0.0', ''])(
    'is the usual one when its version is "%s"',
    (version) => {
      const usual = { binary: '/usr/sbin/nats-server' };
      expect(natsServerFor(choice({ version: '0.8.1' }), programs(version, '/newer'))).toEqual(usual);
    },
  );

  it.each(['2.9.10', '2.10.7', '1.99.99'])('is too old when its version is %s', (version) => {
    expect(natsServerFor(choice({}), programs(version, '/newer')).binary).toBe('/newer');
  });

  it('is the usual one for a newer Dynamo, for simulated engines, and for other routers', () => {
    const old = programs('2.9.10', '/newer');
    const usual = { binary: '/usr/sbin/nats-server' };
    expect(natsServerFor(choice({ version: '1.0.2' }), old)).toEqual(usual);
    expect(natsServerFor(choice({ version: '0.8.1' }, { mock: true }), old)).toEqual(usual);
    expect(natsServerFor(choice({}, { recipes: [recipe({}, { type: 'sglang-router' })] }), old)).toEqual(
      usual,
    );
  });
});
