import { describe, expect, it } from 'vitest';
import { Summary } from '../../src/benchmarks/loadgen/figures/summary.ts';
import { measured } from '../support/measured.ts';

describe('the summary of a run', () => {
  it('counts failed requests as failed and in no figure', () => {
    const one = {
      startedAt: 0,
      endedAt: 1_000,
      ttftMs: 100,
      gapsMs: [10, 20],
      inputTokens: 7,
      outputTokens: 10,
      error: null,
    };
    const config = { isl: 8, osl: 10, requestRate: 'inf' as const };
    const bad = { ...one, endedAt: 2_000, ttftMs: 9_999, outputTokens: 0, error: 'HTTP 500: no' };
    const summary = new Summary(config, 2);
    for (const request of [one, { ...one, startedAt: 500, endedAt: 2_000 }, bad])
      summary.add(measured(request));
    const result = summary.result();
    expect(result).toMatchObject({
      requests: 3,
      completed: 2,
      failed: 1,
      errors: ['HTTP 500: no'],
      durationS: 2,
    });
    expect(result).toMatchObject({
      inputTokens: 14,
      outputTokens: 20,
      outputThroughput: 10,
      requestThroughput: 1,
    });
    expect(result.ttftMs).toMatchObject({ mean: 100, max: 100 });
    expect(result.tpotMs.min).toBe(100);
    expect(result.itlMs.mean).toBe(15);
  });

  it('reports a few distinct errors, for any number of failed requests', () => {
    const summary = new Summary({ isl: 1, osl: 1, requestRate: 2 }, 1);
    const bad = { startedAt: 0, endedAt: 1, ttftMs: 0, gapsMs: [], inputTokens: 1, outputTokens: 0 };
    for (let index = 0; index < 100; index++) summary.add(measured({ ...bad, error: `error ${index % 20}` }));
    const { errors, failed, requestRate, ttftMs } = summary.result();
    expect(errors).toEqual(['error 0', 'error 1', 'error 2', 'error 3', 'error 4']);
    expect({ failed, requestRate, mean: ttftMs.mean }).toEqual({ failed: 100, requestRate: 2, mean: 0 });
  });
});
