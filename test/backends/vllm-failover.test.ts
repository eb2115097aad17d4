import { describe, expect, it } from 'vitest';
import { requireRunnable } from '../../src/recipe/checks/runnable.ts';
import { loadText } from '../recipe/write.ts';
import { option, pointOf, processOf } from '../support/plan.ts';

const recipe = (agg = 'nodes: 1, workers: 2, gpus: 1', engine = 'failover: {}', more = '') => `schema: 2
name: failover
model: {path: hf:org/m, container: repo/image:1, precision: bf16}
resources: {gpu_type: b200, gpus_per_node: 8}
frontend: {type: dynamo, enable_multiple_frontends: false}
engine: {type: vllm, ${engine}}
roles: {agg: {${agg}}}
benchmark: {type: manual}
${more}`;

describe('a vLLM worker with a standby engine', () => {
  it('has two engines on the same GPUs, with ports of their own, that load through the same server', () => {
    const { processes } = pointOf(recipe());
    const workers = processes.filter(({ role }) => role === 'agg');
    expect(workers.map(({ id, gpus, sharesGpus }) => [id, gpus, sharesGpus])).toEqual([
      ['agg-0-0', [0], 'agg-0'],
      ['agg-0-e1-0', [0], 'agg-0'],
      ['agg-1-0', [1], 'agg-1'],
      ['agg-1-e1-0', [1], 'agg-1'],
    ]);
    expect(new Set(workers.flatMap(({ ports }) => Object.values(ports))).size).toBe(
      workers.flatMap(({ ports }) => Object.values(ports)).length,
    );
    const [first, standby] = workers;
    expect(option(first?.argv ?? [], '--load-format')).toBe('gms');
    expect(first?.argv).toContain('--gms-shadow-mode');
    expect(first?.argv).not.toContain('--device-ids');
    expect(standby?.env).toMatchObject({
      ENGINE_ID: '1',
      DYN_VLLM_GMS_SHADOW_MODE: 'true',
      DYN_SYSTEM_STARTING_HEALTH_STATUS: 'notready',
    });
    const directory = first?.env.GMS_SOCKET_DIR;
    expect(directory).toMatch(/^\/dev\/shm\/srtctl-.+\/agg_0$/);
    expect(standby?.env.FAILOVER_LOCK_PATH).toBe(`${directory}/failover.lock`);
    expect(processes.find(({ id }) => id === 'service-gms-0')?.env.GMS_SOCKET_DIR).toBe(directory);
    expect(standby?.logFile).toMatch(/node1_agg_w0_e1\.out$/);
  });

  it('starts each engine again by itself, unless the role or failover says otherwise', () => {
    const policyOf = (text: string) => processOf(text, 'agg-0-e1-0').restartPolicy;
    expect(policyOf(recipe())).toMatchObject({
      endpoint: 'agg-0-e1',
      when: 'always',
      backoffMs: 5_000,
      mostBackoffMs: 5_000,
    });
    expect(policyOf(recipe(undefined, 'failover: {restart: never}'))).toBeUndefined();
    expect(
      policyOf(recipe('nodes: 1, workers: 1, gpus: 1, restart: {policy: on-failure, max_restarts: 2}')),
    ).toMatchObject({ when: 'on-failure', most: 2 });
  });

  it('is one worker for the router, which either of its engines may register', () => {
    const { probe } = processOf(recipe(), 'frontend-0');
    const [agg] = (probe.kind === 'http' && probe.expect) || [];
    expect(agg).toMatchObject({ count: 2, varies: true });
    expect(agg?.address?.among).toHaveLength(4);
  });

  it('has a port of its own for each engine of a worker on several nodes', () => {
    const ports = pointOf(
      recipe('nodes: 2, workers: 1, args: {tensor-parallel-size: 16, master-port: 30000}'),
    ).processes.flatMap(({ role, argv }) => (role === 'agg' ? [option(argv, '--master-port')] : []));
    expect(ports).toEqual(['30000', '30000', '30100', '30100']);
  });

  it.each([
    ['another router', recipe().replace('type: dynamo', 'type: vllm-router'), 'dynamo.vllm alone'],
    ['data parallelism', recipe('nodes: 1, workers: 1, args: {data-parallel-size: 8}'), 'share one lock'],
    ['another load format', recipe('nodes: 1, workers: 1, args: {load-format: dummy}'), 'must be gms'],
  ])('is refused with %s', (_, text, why) => {
    const [variant] = loadText(text);
    if (!variant) throw new Error('no variant');
    expect(() => requireRunnable(variant, { mock: true, containers: false }, () => true)).toThrow(why);
  });
});
