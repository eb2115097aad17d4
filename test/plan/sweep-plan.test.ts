import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { catalogueOf } from '../../src/plan/catalogue.ts';
import { eachPoint, nodesNeeded, planSweep, planVariant } from '../../src/plan/plan.ts';
import { createRuntimeContext, dryRunInput } from '../../src/plan/runtime-context.ts';
import { changesOf, runningOrder } from '../../src/plan/sweep-order.ts';
import type { LoadedVariant } from '../../src/recipe/load.ts';
import { cluster, loadText, small } from '../recipe/write.ts';

function variantOf(text: string): LoadedVariant {
  const [variant] = loadText(text, { cluster: cluster() });
  if (!variant) throw new Error('no variant');
  return variant;
}

function contextOf(variant: LoadedVariant) {
  const nodes = Array.from({ length: nodesNeeded(variant) }, (_, index) => `node${index + 1}`);
  return createRuntimeContext(dryRunInput(nodes, cluster()));
}

/** Every point planned alone, by a planner that knows no other point. */
const alone = (variant: LoadedVariant) => {
  const runtime = contextOf(variant);
  return planSweep(variant, runtime).ordinals.map((ordinal) => planSweep(variant, runtime).point(ordinal));
};

/** Settings of workers, measurement, placement and monitoring; some of them are equal. */
const settings = fc.record({
  p: fc.integer({ min: 1, max: 2 }),
  d: fc.integer({ min: 1, max: 3 }),
  isl: fc.integer({ min: 1, max: 2 }),
  place: fc.constantFrom('head', 'last_decode'),
  env: fc.constantFrom('x', 'y'),
  wait: fc.constantFrom(5, 10),
});
type Settings = typeof settings extends fc.Arbitrary<infer T> ? T : never;

const textOf = (points: readonly Settings[], type: string): string => {
  const columns = Object.keys(points[0] ?? {}).map(
    (key) => `${key}: [${points.map((point) => point[key as keyof Settings]).join(', ')}]`,
  );
  return `sweep: {mode: zip, ${columns.join(', ')}}
${small
  .replace('type: sglang', `type: ${type}`)
  .replace('prefill: {', 'prefill: {max-running-requests: "{p}", ')
  .replace('decode: {', 'decode: {max-running-requests: "{d}", ')
  .replace('isl: 128', 'isl: "{isl}", client_placement: "{place}", env: {A: "{env}"}')}
health_check: {interval_seconds: "{wait}"}
`;
};

describe('a sweep that is planned point by point', { timeout: 120_000 }, () => {
  it('has the points, the order and the changes of one that is planned whole, for requests in any order', () => {
    fc.assert(
      fc.property(
        fc.array(settings, { minLength: 1, maxLength: 10 }),
        fc.constantFrom('sglang', 'dynamo'),
        fc.infiniteStream(fc.nat()),
        (points, type, numbers) => {
          const variant = variantOf(textOf(points, type));
          const expected = alone(variant);
          const whole = planVariant(variant, contextOf(variant));
          expect(whole.points).toEqual(expected);
          const lazy = planSweep(variant, contextOf(variant));
          for (const ordinal of [...numbers.take(20)].map((number) => number % points.length))
            expect(lazy.point(ordinal)).toEqual(expected[ordinal]);
          expect([...eachPoint(lazy)].sort((a, b) => a.ordinal - b.ordinal)).toEqual(expected);
          // The decisions by groups of points equal the decisions for each point alone.
          const apart = { ...lazy, groups: lazy.ordinals.map((ordinal) => [ordinal]) };
          const catalogue = catalogueOf({ ...apart, point: (ordinal) => expected[ordinal] });
          const order = runningOrder(catalogue, 'fewest-restarts');
          expect(runningOrder(catalogueOf(lazy), 'fewest-restarts')).toEqual(order);
          expect(whole.order).toEqual(order);
          expect(whole.changes).toEqual(changesOf(catalogue, order));
        },
      ),
      { numRuns: 40 },
    );
  });

  it('plans a point again that it has not kept', () => {
    const workers = small
      .replace(
        /resources:[\s\S]*?(?=\n\w)/,
        'resources: {gpu_type: h100, gpus_per_node: 8, agg_nodes: 8, agg_workers: 64, gpus_per_agg: 1}',
      )
      .replace(
        /backend:[\s\S]*?(?=\n\w)/,
        'backend: {sglang_config: {aggregated: {max-running-requests: "{n}"}}}',
      );
    const list = Array.from({ length: 100 }, (_, index) => index + 1);
    const variant = variantOf(`sweep: {n: [${list.join(', ')}]}\n${workers}`);
    const plan = planSweep(variant, contextOf(variant));
    const first = plan.point(0);
    expect(first?.processes.length).toBeGreaterThan(64);
    for (const ordinal of plan.ordinals) plan.point(ordinal);
    const again = plan.point(0);
    expect(again).toEqual(first);
    expect(again?.processes[0]).not.toBe(first?.processes[0]);
    expect(plan.point(99)?.processes[0]).toBe(plan.point(99)?.processes[0]);
  });

  it('has no point for an unknown number', () => {
    const variant = variantOf(small);
    expect(planSweep(variant, contextOf(variant)).point(1)).toBeUndefined();
  });
});
