import { describe, expect, it } from 'vitest';
import { disturbedBy, withoutKills } from '../../../src/coordinator/sweep/verdict.ts';
import type { BenchmarkResult, WorkerRestart } from '../../../src/messages/job-directory/result.ts';

const valid: BenchmarkResult = { type: 'sa-bench', valid: true, serving: [], artifacts: [] };
const restart: WorkerRestart = {
  ...{ endpoint: 'decode-1', process: 'decode-1-0', node: 'node1', restart: 1, exitCode: 1, signal: null },
  ...{
    why: 'decode-1-0 failed',
    at: '2026-01-02T03:04:05.000Z',
    delayMs: 0,
    startedAt: null,
    backAfterMs: null,
  },
  logFile: 'a',
};

describe('figures of a point', () => {
  it('do not count when a worker was away, which is then the first of all reasons', () => {
    const late = { what: 'rate', text: 'too slow', limit: 0.05, value: 1, concurrency: 4 };
    const result = { ...valid, valid: false, reason: 'too slow', reasons: [late] };
    expect(disturbedBy([restart], result)).toMatchObject({
      valid: false,
      reason: expect.stringMatching(/^a worker started again .* decode-1-0 failed .*; too slow$/),
      reasons: [{ what: 'worker_restarts', limit: 0, value: 1 }, late],
    });
    expect(disturbedBy([], valid)).toBe(valid);
  });

  it('do not count without the faults of their experiment', () => {
    expect(withoutKills(['decode-1 did not run'], valid)).toMatchObject({
      valid: false,
      reasons: [{ what: 'worker_kills', text: 'decode-1 did not run' }],
    });
    expect(withoutKills([], valid)).toBe(valid);
  });
});
