import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PlanError } from '../../src/errors.ts';
import type { Plan } from '../../src/plan/kinds.ts';
import { nodesNeeded, planVariant } from '../../src/plan/plan.ts';
import { createRuntimeContext, dryRunInput } from '../../src/plan/runtime-context.ts';
import { clusterConfigSchema } from '../../src/recipe/cluster.ts';
import type { LoadedVariant } from '../../src/recipe/load.ts';
import { recipeSchema } from '../../src/recipe/schema.ts';

const cluster = clusterConfigSchema.parse({});

/** Deployments that may fit or not: counts of nodes, workers and GPUs, either router, with or without nginx. */
const raw = fc
  .record({
    perNode: fc.constantFrom(1, 2, 4, 8),
    aggregated: fc.boolean(),
    nodes: fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 0, max: 6 })),
    workers: fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 6 })),
    gpus: fc.tuple(
      fc.option(fc.constantFrom(1, 2, 3, 4, 8, 16)),
      fc.option(fc.constantFrom(1, 2, 3, 4, 8, 16)),
    ),
    frontend: fc.constantFrom('sglang', 'dynamo'),
    several: fc.boolean(),
    additional: fc.integer({ min: 0, max: 4 }),
    dedicated: fc.boolean(),
    flags: fc.dictionary(
      fc.constantFrom('page-size', 'tp-size', 'trust-remote-code'),
      fc.constantFrom(1, true, 'x', null),
    ),
    env: fc.dictionary(fc.constantFrom('A', 'B', 'C'), fc.constantFrom('1', '2')),
  })
  .map((d) => {
    const [n, m] = d.nodes;
    const [w, v] = d.workers;
    const [g, h] = d.gpus;
    const placed = d.aggregated
      ? { agg_nodes: n, agg_workers: w, gpus_per_agg: g }
      : {
          prefill_nodes: n,
          prefill_workers: w,
          gpus_per_prefill: g,
          decode_nodes: m,
          decode_workers: v,
          gpus_per_decode: h,
        };
    return {
      name: 'any',
      model: { path: '/m', container: 'repo/i', precision: 'fp8' },
      resources: { gpu_type: 'x', gpus_per_node: d.perNode, ...placed },
      frontend: {
        type: d.frontend,
        enable_multiple_frontends: d.several,
        num_additional_frontends: d.additional,
      },
      infra: { etcd_nats_dedicated_node: d.dedicated },
      environment: d.env,
      backend: {
        prefill_environment: d.env,
        sglang_config: { prefill: d.flags, decode: d.flags, aggregated: d.flags },
      },
      benchmark: { type: 'manual' },
    };
  });

function plan(value: unknown): Plan | null {
  const recipe = recipeSchema.parse(value);
  const variant: LoadedVariant = {
    file: 'any.yaml',
    variant: '',
    name: 'any',
    places: {},
    points: [{ params: null, name: 'any', recipe }],
  };
  try {
    const nodes = Array.from({ length: nodesNeeded(variant) }, (_, index) => `n${index}`);
    return planVariant(variant, createRuntimeContext(dryRunInput(nodes, cluster)));
  } catch (error) {
    if (error instanceof PlanError) {
      expect(error.place?.path).toMatch(/^resources/);
      return null;
    }
    throw error;
  }
}

const repeated = (values: readonly string[]): string[] =>
  values.filter((value, index) => values.indexOf(value) !== index);

describe('any recipe that can be planned', () => {
  const holds = (check: (plan: Plan) => void) => {
    let planned = 0;
    fc.assert(
      fc.property(raw, (value) => {
        const made = plan(value);
        if (!made) return;
        planned++;
        check(made);
      }),
      { numRuns: 300 },
    );
    expect(planned).toBeGreaterThan(50);
  };

  it('gives no GPU of a node to two processes, and none that the node has not', () => {
    holds(({ points, gpusPerNode }) => {
      for (const { processes } of points) {
        const taken = processes.flatMap(({ node, gpus }) => gpus.map((gpu) => `${node}/${gpu}`));
        expect(repeated(taken)).toEqual([]);
        expect(processes.every(({ gpus }) => gpus.every((gpu) => gpu < gpusPerNode))).toBe(true);
      }
    });
  });

  it('gives no port of a node to two processes that listen there', () => {
    holds(({ points }) => {
      for (const { processes } of points) {
        const listening = processes.flatMap(({ id, node, ports }) =>
          Object.entries(ports)
            // A follower is told its leader's bootstrap port and does not listen on it.
            .filter(([kind]) => kind !== 'bootstrap' || id.endsWith('-0'))
            .map(([, port]) => `${node}:${port}`),
        );
        expect(repeated(listening)).toEqual([]);
      }
    });
  });

  it('has every process once, on a node of the job, and one leader for each endpoint', () => {
    holds(({ points, totalNodes }) => {
      for (const { processes, endpoints, endpointProcesses, roles } of points) {
        expect(repeated(processes.map(({ id }) => id))).toEqual([]);
        expect(repeated(processes.map(({ logFile }) => logFile))).toEqual([]);
        expect(new Set([...roles.workers, roles.infra]).size).toBe(totalNodes);
        for (const { mode, index, nodes } of endpoints) {
          const ranks = endpointProcesses.filter(
            (process) => process.mode === mode && process.index === index,
          );
          expect(ranks.map(({ rank }) => rank)).toEqual(nodes.map((_, rank) => rank));
          expect(ranks.filter(({ ports }) => ports.http > 0)).toHaveLength(1);
        }
      }
    });
  });

  it('is planned the same again, in whatever order the keys of its maps are written', () => {
    fc.assert(
      fc.property(raw, (value) => {
        expect(plan(reversed(value))).toEqual(plan(value));
      }),
      { numRuns: 100 },
    );
  });
});

function reversed(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, below]) => [key, reversed(below)]),
  );
}
