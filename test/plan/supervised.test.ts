import { describe, expect, it } from 'vitest';
import { pointOf } from '../support/plan.ts';

const recipe = (more = '', frontend = 'sglang') => `name: x
model: { path: m, container: c, precision: fp8 }
resources: { gpu_type: h100, gpus_per_node: 8, prefill_nodes: 1, prefill_workers: 1, decode_nodes: 4, decode_workers: 2 }
frontend: { type: ${frontend}, enable_multiple_frontends: false }
benchmark: { type: sa-bench, isl: 1, osl: 1, concurrencies: "1", req_rate: inf }
${more}
`;
const plannedOf = (text: string) =>
  Object.fromEntries(pointOf(text).processes.map((process) => [process.id, process]));

describe('a recipe’s supervision', () => {
  it('is in the specs: patience, grace, and the critical processes', () => {
    const planned = plannedOf(
      recipe(
        'supervision: { grace: 2.5, unhealthy_after: 60, hung_after: 30, critical: { decode: false, frontend: false } }',
      ),
    );
    expect(planned['prefill-0-0']).toMatchObject({
      critical: true,
      graceMs: 2_500,
      // Its /health generates a token, so a failing /health is a hang.
      unhealthyAfterMs: 30_000,
    });
    expect(planned['decode-1-0']).toMatchObject({ critical: false, progress: { hungAfterMs: 30_000 } });
    expect(planned['frontend-0']).toMatchObject({ critical: false, unhealthyAfterMs: 60_000 });
    expect(planned.benchmark).toMatchObject({ critical: true, graceMs: 2_500, progress: { kind: 'output' } });
    // A hang of an engine leaves it without answers, so the hang of the engine is detected first.
    expect(planned.benchmark?.progress?.hungAfterMs).toBe(45_000);
    const dynamo = plannedOf(recipe('supervision: { unhealthy_after: 60, hung_after: 30 }', 'dynamo'));
    expect(dynamo['prefill-0-0']).toMatchObject({ unhealthyAfterMs: 60_000 });
  });

  it('leaves the default of each kind of process when it has no setting', () => {
    const planned = plannedOf(recipe());
    expect(planned['decode-0-0']).toMatchObject({
      critical: true,
      graceMs: 30_000,
      unhealthyAfterMs: 300_000,
    });
    expect(planned['frontend-0']).toMatchObject({ critical: true, graceMs: 5_000 });
  });

  it('lets a router be ready with one of the workers that may be lost', () => {
    const expected = (more: string) => {
      const { probe } = plannedOf(recipe(more))['frontend-0'] ?? {};
      return probe?.kind === 'http' && probe.expect?.slice(0, 2).map(({ count, least }) => [least, count]);
    };
    expect(expected('')).toEqual([
      [undefined, 1],
      [undefined, 2],
    ]);
    expect(expected('supervision: { critical: { decode: false } }')).toEqual([
      [undefined, 1],
      [1, 2],
    ]);
  });

  it('watches the figures of each leader whose engine serves them, and of no follower', () => {
    const sglang = plannedOf(recipe());
    const { http = 0 } = sglang['decode-0-0']?.ports ?? {};
    expect(sglang['decode-0-0']?.progress).toMatchObject({ kind: 'metrics', port: http, path: '/metrics' });
    expect(sglang['decode-0-1']?.progress).toBeUndefined();
    const dynamo = plannedOf(recipe('', 'dynamo'));
    const { system = 0 } = dynamo['decode-0-0']?.ports ?? {};
    expect(dynamo['decode-0-0']?.progress).toMatchObject({ port: system });
  });
});
