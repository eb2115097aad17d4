import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Plan } from '../../src/model/kinds.ts';
import { PlanError } from '../../src/os/errors.ts';
import { nodesNeeded, planVariant } from '../../src/plan/plan.ts';
import { createRuntimeContext, dryRunInput } from '../../src/plan/runtime-context.ts';
import { recipeSchema } from '../../src/recipe/layouts/recipe-schema.ts';
import type { LoadedVariant } from '../../src/recipe/load.ts';
import { clusterConfigSchema } from '../../src/recipe/schema/cluster.ts';
import { sweepSettingsSchema } from '../../src/recipe/values/sweep-settings.ts';

const cluster = clusterConfigSchema.parse({});

/**
 * Deployments that may or may not fit: counts of nodes, workers and GPUs, every engine and router, with or without
 * nginx.
 */
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
    engine: fc.constantFrom('sglang', 'trtllm', 'vllm', 'mocker'),
    frontend: fc.constantFrom('sglang-router', 'dynamo', 'dynamo', 'trtllm_serve', 'vllm'),
    parallel: fc.tuple(fc.constantFrom(1, 2, 4, 8, 16), fc.constantFrom(1, 1, 2, 8)),
    perGpu: fc.boolean(),
    spread: fc.boolean(),
    het: fc.boolean(),
    colocate: fc.boolean(),
    placement: fc.constantFrom('head', 'last_decode', 'dedicated'),
    shared: fc.boolean(),
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
      resources: {
        gpu_type: 'x',
        gpus_per_node: d.perNode,
        spread_workers: d.spread,
        het_jobs: d.het && !d.aggregated && m > 0,
        ...placed,
      },
      frontend: {
        type: d.frontend,
        enable_multiple_frontends: d.several,
        num_additional_frontends: d.additional,
      },
      infra: { etcd_nats_dedicated_node: d.dedicated },
      environment: d.env,
      backend: backend(d),
      benchmark: { type: 'manual', placement: { node: d.placement }, colocate_with_frontend: d.shared },
    };
  });

interface Engine {
  readonly engine: string;
  readonly env: Record<string, string>;
  readonly flags: Record<string, unknown>;
  readonly parallel: readonly [number, number];
  readonly perGpu: boolean;
  readonly colocate: boolean;
}

function backend({ engine, env, flags, parallel: [data, tensor], perGpu, colocate }: Engine) {
  const sizes = engine === 'vllm' ? { 'data-parallel-size': data, 'tensor-parallel-size': tensor } : {};
  const mode = { ...flags, ...sizes };
  return {
    type: engine,
    prefill_environment: env,
    [`${engine}_config`]: { prefill: mode, decode: mode, aggregated: mode },
    ...(engine === 'vllm'
      ? { dp_launch_mode: perGpu ? 'per_gpu' : 'per_node', allow_prefill_decode_colocation: colocate }
      : {}),
  };
}

function plan(value: unknown): Plan | null {
  const recipe = recipeSchema.parse(value);
  const variant: LoadedVariant = {
    file: 'any.yaml',
    variant: '',
    name: 'any',
    places: {},
    sweep: sweepSettingsSchema.parse({}),
    points: [{ params: null, name: 'any', recipe }],
  };
  try {
    const nodes = Array.from({ length: nodesNeeded(variant) }, (_, index) => `n${index}`);
    return planVariant(variant, createRuntimeContext(dryRunInput(nodes, cluster)));
  } catch (error) {
    if (error instanceof PlanError) {
      expect(error.place?.path).toMatch(/^(resources|backend|frontend|benchmark)/);
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
      { numRuns: 3000 },
    );
    expect(planned).toBeGreaterThan(200);
  };

  it('gives each GPU of a node to at most one process, and only existing GPUs', () => {
    holds(({ points, gpusPerNode }) => {
      for (const { endpointProcesses } of points) {
        const taken = endpointProcesses.flatMap(({ node, gpus }) => gpus.map((gpu) => `${node}/${gpu}`));
        expect(repeated(taken)).toEqual([]);
        expect(endpointProcesses.every(({ gpus }) => gpus.every((gpu) => gpu < gpusPerNode))).toBe(true);
      }
    });
  });

  it('gives each port of a node to at most one process that listens there', () => {
    holds(({ points }) => {
      for (const { processes } of points) {
        const listening = processes.flatMap(({ id, node, ports }) =>
          Object.entries(ports)
            // A follower gets its leader's bootstrap port and does not listen on it.
            .filter(([kind]) => kind !== 'bootstrap' || id.endsWith('-0') || 'http' in ports)
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
        expect(new Set([roles.head, roles.infra, roles.bench, ...roles.workers]).size).toBe(totalNodes);
        for (const { mode, index, nodes } of endpoints) {
          const ranks = endpointProcesses.filter(
            (process) => process.mode === mode && process.index === index,
          );
          expect(ranks.filter(({ rank }) => rank === 0)).toHaveLength(1);
          expect(ranks[0]?.rank).toBe(0);
          expect(ranks[0]?.ports.http).toBeGreaterThan(0);
          expect([...new Set(ranks.map(({ node }) => node))]).toEqual(nodes);
        }
      }
    });
  });

  it('gives each worker the GPUs that the recipe requests, or whole nodes when it is larger than one', () => {
    holds(({ points, gpusPerNode }) => {
      for (const { recipe, endpoints } of points) {
        for (const { mode, nodes, gpus } of endpoints) {
          const asked = recipe.resources[`gpus_per_${mode}`];
          const whole = Math.ceil((asked ?? 0) / gpusPerNode) * gpusPerNode;
          if (asked != null) expect(nodes.length * gpus.length).toBe(asked > gpusPerNode ? whole : asked);
        }
        for (const mode of ['prefill', 'decode', 'agg'] as const) {
          const workers = endpoints.filter((endpoint) => endpoint.mode === mode);
          expect(workers).toHaveLength(recipe.resources[`${mode}_workers`] ?? 0);
        }
      }
    });
  });

  it('does not depend on the order of the keys in its maps', () => {
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
