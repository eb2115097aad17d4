import { describe, expect, it } from 'vitest';
import { resultLines, toCsv } from '../../../src/benchmarks/common/result-lines.ts';
import type { PointResult } from '../../../src/messages/job-directory/result.ts';
import type { Distribution, ServingResult } from '../../../src/messages/job-directory/serving-result.ts';

const times: Distribution = { mean: 1, median: 1, p90: 1, p95: 1, p99: 2, std: 0, min: 1, max: 2 };
const serving = (concurrency: number): ServingResult => ({
  concurrency,
  requestRate: null,
  isl: 64,
  osl: 16,
  requests: 8,
  completed: 8,
  failed: 0,
  errors: [],
  durationS: 1.5,
  inputTokens: 512,
  outputTokens: 128,
  requestThroughput: 5.3,
  inputThroughput: 341,
  outputThroughput: 85,
  totalThroughput: 426,
  ttftMs: times,
  tpotMs: times,
  itlMs: times,
  e2elMs: times,
});
const point = (over: Partial<PointResult>): PointResult => ({
  v: 1,
  job: 'job',
  ordinal: 0,
  name: 'small',
  params: { tp: 4, note: 'a "b", c' },
  attempt: 1,
  status: 'done',
  startedAt: '2026-01-02T03:04:05.000Z',
  benchmarkStartedAt: '2026-01-02T03:04:06.000Z',
  finishedAt: '2026-01-02T03:04:07.000Z',
  benchmark: { type: 'sa-bench', valid: true, serving: [serving(1), serving(8)], artifacts: [] },
  cause: null,
  ...over,
});
const failed = point({
  ordinal: 1,
  status: 'failed',
  benchmark: null,
  cause: { summary: 'out of memory\nat 3' },
});

describe('the lines of a result', () => {
  it('are one for each concurrency, and one for a point without figures', () => {
    expect(resultLines(point({})).map(({ concurrency }) => concurrency)).toEqual([1, 8]);
    expect(resultLines(failed)).toMatchObject([{ status: 'failed', cause: 'out of memory\nat 3' }]);
  });

  it('as CSV have a column for each parameter and figure, with quotes when needed', () => {
    const csv = toCsv([...resultLines(point({})), ...resultLines(failed)]);
    const [head = '', first = ''] = csv.split('\r\n');
    expect(head.split(',')).toEqual(expect.arrayContaining(['params.tp', 'ttftMs.p99', 'outputThroughput']));
    expect(first).toContain('"a ""b"", c"');
    expect(csv).toContain('"out of memory\nat 3"');
    expect(csv.match(/\r\n/g)).toHaveLength(4);
  });
});
