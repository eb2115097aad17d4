import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Plan } from '../../src/model/kinds.ts';
import { nodesNeeded, planVariant } from '../../src/plan/plan.ts';
import { createRuntimeContext, dryRunInput } from '../../src/plan/runtime-context.ts';
import { cluster, loadText, small } from '../recipe/write.ts';

/** The plan of a recipe's text on nodes whose addresses begin with `network`. */
function planOf(text: string, network = '10.0.0', config: object = {}): Plan {
  const whole = cluster(config);
  const [variant] = loadText(text, { cluster: whole });
  if (!variant) throw new Error('no variant');
  const nodes = Array.from({ length: nodesNeeded(variant) }, (_, index) => `node${index + 1}`);
  const addresses = Object.fromEntries(nodes.map((node, index) => [node, `${network}.${index + 1}`]));
  return planVariant(variant, createRuntimeContext({ ...dryRunInput(nodes, whole), addresses }));
}

const loads = ({ changes }: Plan): number => changes.reduce((sum, { engineLoads }) => sum + engineLoads, 0);
const swept = (sweep: string, text = small) => `sweep: ${sweep}\n${text}`;
const aggregated = `name: agg
model: {path: /models/m, container: repo/image:1, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 8, agg_nodes: 4, agg_workers: 1, gpus_per_agg: 32}
frontend: {type: sglang, enable_multiple_frontends: false}
backend: {sglang_config: {aggregated: {tensor-parallel-size: 32, mem-fraction-static: "{mem}"}}}
benchmark: {type: sa-bench, isl: "{isl}", osl: 128, concurrencies: 1x4}
`;

describe('the order of a sweep', () => {
  it('loads the engine three times for three server settings and four benchmark settings, in any written order', () => {
    const written = planOf(swept('{mem: [0.7, 0.8, 0.9], isl: [1, 2, 3, 4]}', aggregated));
    expect(loads(written)).toBe(3);
    expect(written.order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    const otherwise = swept('{isl: [1, 2, 3, 4], mem: [0.7, 0.8, 0.9]}', aggregated);
    const grouped = planOf(otherwise);
    expect(loads(grouped)).toBe(3);
    expect(grouped.order).toEqual([0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]);
    expect(grouped.points.map(({ ordinal }) => ordinal)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    const asWritten = planOf(otherwise.replace('sweep: {', 'sweep: {order: as-written, '));
    expect(asWritten.order).toEqual(asWritten.points.map(({ ordinal }) => ordinal));
    expect(loads(asWritten)).toBe(12);
  });

  it('keeps prefill workers while only decode workers change, and restarts a router with a list of them', () => {
    const text = swept(
      '{n: [1, 2, 3]}',
      small.replace('decode: {', 'decode: {max-running-requests: "{n}", '),
    );
    expect(planOf(text).changes[1]).toEqual({
      ordinal: 1,
      keep: ['prefill-0-0'],
      restart: ['decode-0-0', 'frontend-0'],
      start: [],
      stop: [],
      engineLoads: 1,
    });
    const dynamo = planOf(text.replace('type: sglang', 'type: dynamo'));
    expect(dynamo.changes[1]).toMatchObject({
      keep: ['etcd', 'prefill-0-0', 'frontend-0'],
      restart: ['decode-0-0'],
    });
    const [first, second] = dynamo.points.map(({ processes }) =>
      processes.find(({ id }) => id === 'frontend-0'),
    );
    expect(first?.readyAfter).not.toBe(second?.readyAfter);
  });

  it('restarts all ranks of an endpoint when one has changed, and everything when Dynamo itself has changed', () => {
    const mem = planOf(swept('{mem: [0.7, 0.8], isl: [1]}', aggregated));
    expect(mem.changes[1]?.restart.filter((id) => id.startsWith('agg'))).toHaveLength(4);
    const versions = `${small.replace('type: sglang', 'type: dynamo')}dynamo: {version: "{v}"}\n`;
    const dynamo = planOf(swept('{v: ["1.0", "1.1"]}', versions));
    expect(dynamo.changes[1]).toMatchObject({ keep: ['etcd'], start: [], stop: [] });
    expect(dynamo.changes[1]?.engineLoads).toBe(2);
  });

  it('restarts no engine when only its monitoring changes', () => {
    const text = swept('{n: [5, 10]}', `${small}health_check: {interval_seconds: "{n}"}\n`);
    // The router gets the waiting time for its workers on its command line.
    const restart = ['frontend-0'];
    expect(planOf(text).changes[1]).toMatchObject({ restart, start: [], stop: [], engineLoads: 0 });
  });

  it.each([
    ['sglang', 'sglang_config'],
    ['trtllm', 'trtllm_config'],
    ['vllm', 'vllm_config'],
    ['mocker', 'mocker_config'],
  ])('reloads no %s worker for another benchmark', (engine, section) => {
    const text = small
      .replace('type: sglang', 'type: dynamo')
      .replace('enable_multiple_frontends: false', 'enable_multiple_frontends: true')
      .replace('backend:\n  sglang_config', `backend:\n  type: ${engine}\n  ${section}`)
      .replace('isl: 128', 'isl: "{isl}"');
    const { changes } = planOf(swept('{isl: [1, 2, 3]}', text), '10.0.0', { hf_home: '/hf' });
    expect(loads({ changes } as Plan)).toBe(2);
    for (const { restart, start, stop } of changes.slice(1))
      expect([restart, start, stop]).toEqual([[], [], []]);
  });

  it('loads each of twenty settings once in a sweep of hundreds of points', () => {
    const { order, changes } = planOf(swept(`{isl: [${list(20)}], n: [${list(20)}]}`, both));
    expect(order).toHaveLength(400);
    expect(changes.filter(({ engineLoads }) => engineLoads > 0)).toHaveLength(20);
  });

  const both = small
    .replace('isl: 128', 'isl: "{isl}"')
    .replace('decode: {', 'decode: {max-running-requests: "{n}", ');
  const list = (count: number) => Array.from({ length: count }, (_, index) => index + 1).join(', ');

  it('has every point once, loads no more than in written order, and does not depend on addresses', () => {
    const settings = fc.array(
      fc.tuple(
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 2 }),
      ),
      { minLength: 1, maxLength: 12 },
    );
    fc.assert(
      fc.property(settings, (points) => {
        const column = (at: 0 | 1 | 2) => `[${points.map((point) => point[at]).join(', ')}]`;
        const text = `sweep: {mode: zip, p: ${column(0)}, d: ${column(1)}, isl: ${column(2)}}\n${small
          .replace('prefill: {', 'prefill: {max-running-requests: "{p}", ')
          .replace('decode: {', 'decode: {max-running-requests: "{d}", ')
          .replace('isl: 128', 'isl: "{isl}"')}`;
        const plan = planOf(text);
        expect([...plan.order].sort((a, b) => a - b)).toEqual(points.map((_, index) => index));
        const asWritten = planOf(text.replace('mode: zip', 'mode: zip, order: as-written'));
        expect(loads(plan)).toBeLessThanOrEqual(loads(asWritten));
        expect(planOf(text, '192.168.7').order).toEqual(plan.order);
        // The changes of each point lead from the running processes to those that the next point needs.
        let runs: string[] = [];
        for (const { ordinal, keep, restart, start, stop } of plan.changes) {
          expect([...keep, ...restart, ...stop].sort()).toEqual([...runs].sort());
          runs = [...keep, ...restart, ...start];
          const wanted = plan.points[ordinal]?.processes.filter(({ role }) => role !== 'benchmark');
          expect(runs.sort()).toEqual(wanted?.map(({ id }) => id).sort());
        }
      }),
      { numRuns: 40 },
    );
  });
});
