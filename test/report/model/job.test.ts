import { describe, expect, it } from 'vitest';
import type { PointResult } from '../../../src/messages/job-directory/result.ts';
import type { ServingResult } from '../../../src/messages/job-directory/serving-result.ts';
import { curvesOf, paramsBesideLoad, rowsOf } from '../../../src/report/model/curves.ts';
import { gpusOf } from '../../../src/report/model/gpus.ts';
import { rowOf } from '../../../src/report/model/row.ts';
import { valuesAt, whatRan } from '../../../src/report/model/what-ran.ts';
import { OLD_VERSIONS, oldJob, row, source } from '../sources.ts';

describe.each(OLD_VERSIONS)('a job of %s', (version) => {
  it('has the figures of its results, with GPUs counted by its recipe', () => {
    const { points } = oldJob(version, 'done');
    const [first] = points[0]?.rows ?? [];
    expect(points[0]).toMatchObject({ status: 'done', valid: true });
    expect(points[0]?.rows).toHaveLength(3);
    expect(first).toMatchObject({ concurrency: 1, valid: true, gpus: { total: 16, prefill: 8, decode: 8 } });
    expect(first?.outputPerGpu).toBeCloseTo((first?.result?.outputThroughput ?? 0) / 16);
    expect(first?.outputPerUser).toBeCloseTo(1_000 / (first?.result?.tpotMs.median ?? 0));
  });

  it('has a timeline by node and process, from the submission on', () => {
    const { timeline } = oldJob(version, 'done');
    expect(timeline?.lanes[0]).toMatchObject({
      kind: 'job',
      spans: [{ state: 'queue' }, { state: 'booting' }, {}, {}, {}],
    });
    const decode = timeline?.lanes.find(({ name }) => name === 'decode-0-0');
    expect(decode).toMatchObject({ node: 'node3', kind: 'process' });
    expect(decode?.spans.map(({ state }) => state)).toEqual(
      expect.arrayContaining(['waiting', 'preparing', 'load', 'ready']),
    );
    for (const { spans } of timeline?.lanes ?? [])
      for (const { from, to } of spans) expect(to).toBeGreaterThanOrEqual(from);
  });

  it('has the cause of its failure, and a mark of it in the timeline', () => {
    const failed = oldJob(version, 'failed');
    expect(failed.points[0]).toMatchObject({ status: expect.stringMatching(/^failed/) });
    expect(failed.points[0]?.cause?.summary).toContain('prefill-0-0');
    expect(failed.timeline?.marks).toContainEqual(
      expect.objectContaining({
        what: 'process failed',
        node: 'node1',
        text: expect.stringContaining('prefill-0-0'),
      }),
    );
    expect(rowsOf({ sources: [failed] }).every((placed) => !placed.row.valid)).toBe(true);
  });
});

describe('a row', () => {
  const distribution = { mean: 1, median: 2, p90: 3, p95: 3, p99: 3, std: 1, min: 1, max: 3 };
  const result = (given: Partial<ServingResult> = {}): ServingResult => ({
    ...{
      concurrency: 4,
      requestRate: null,
      isl: 8,
      osl: 8,
      requests: 9,
      completed: 9,
      failed: 0,
      errors: [],
    },
    ...{ durationS: 1, inputTokens: 9, outputTokens: 9, requestThroughput: 9, inputThroughput: 9 },
    ...{ outputThroughput: 90, totalThroughput: 99, ttftMs: distribution, tpotMs: distribution },
    ...{ itlMs: distribution, e2elMs: distribution },
    ...given,
  });
  const point = (
    given: Partial<NonNullable<PointResult['benchmark']>>,
    serving: ServingResult[],
    status = 'done',
  ) => ({
    ...{ ordinal: 0, status },
    benchmark: { type: 'sa-bench', valid: true, serving, artifacts: [], ...given },
  });
  const of = (one: ServingResult, of: ReturnType<typeof point>) =>
    rowOf(one, { id: '', point: of, gpus: null });

  it('takes what the result states before what it can compute', () => {
    const one = result({
      perGpu: {
        ...{
          gpus: { total: 3, prefill: null, decode: null },
          outputPerGpu: 30,
          inputPerGpu: 1,
          totalPerGpu: 1,
        },
        ...{ inputPerPrefillGpu: null, outputPerDecodeGpu: null },
      },
      outputPerUser: { ...distribution, median: 77, count: 9 },
    });
    expect(of(one, point({}, [one]))).toMatchObject({
      ...{ outputPerGpu: 30, outputPerGpuFrom: 'result', outputPerUser: 77, outputPerUserFrom: 'result' },
    });
    const none = result();
    expect(of(none, point({}, [none]))).toMatchObject({ outputPerGpu: null, outputPerUser: 500 });
  });

  it('is not valid for the reasons of its concurrency only, where reasons name one', () => {
    const [four, eight] = [result(), result({ concurrency: 8 })];
    const reasons = [{ what: 'max_failed', text: '3 failed', limit: 0, value: 3, concurrency: 8 }];
    const both = point({ valid: false, reason: '3 failed', reasons }, [four, eight]);
    expect(of(four, both).valid).toBe(true);
    expect(of(eight, both)).toMatchObject({ valid: false, reasons: ['3 failed'] });
    const unnamed = point({ valid: false, reason: 'no token' }, [four, eight]);
    expect(of(four, unnamed)).toMatchObject({ valid: false, reasons: ['no token'] });
  });

  it('of a point that failed, or that was cut off, is never valid', () => {
    const [one, partial] = [result(), result({ partial: true })];
    expect(of(one, point({}, [one], 'failed')).reasons).toEqual(['the point did not end well: failed']);
    expect(of(partial, point({}, [partial])).valid).toBe(false);
  });
});

describe('curves', () => {
  it('join rows that differ in the load alone, also when it is a parameter of the sweep', () => {
    const c = (concurrency: number) => row({ concurrency });
    const sweep = source(
      'a',
      [[c(4)], [c(8)], [c(8)], [c(4)]],
      [
        { c: 4, batch: 1 },
        { c: 8, batch: 1 },
        { c: 8, batch: 2 },
        { c: 4, batch: 2 },
      ],
    );
    expect(paramsBesideLoad(sweep, sweep.points[0] ?? (undefined as never))).toEqual({ batch: 1 });
    const curves = curvesOf({ sources: [sweep] }, 'concurrency');
    expect(curves.map(({ label, rows }) => [label, rows.map((placed) => placed.row.concurrency)])).toEqual([
      ['batch=1', [4, 8]],
      ['batch=2', [4, 8]],
    ]);
  });
});

describe('what ran', () => {
  it('is one recipe, and the values that differ between points by path', () => {
    const recipe = (isl: number, flag: number) => ({
      name: `p${isl}`,
      benchmark: { isl, osl: 1 },
      args: { 'a.b': flag },
    });
    const ran = whatRan({ points: [{ recipe: recipe(1, 5) }, { recipe: recipe(2, 6) }] });
    expect(ran?.varied).toEqual(['benchmark.isl', 'args.a.b']);
    expect(ran?.common).toMatchObject({ benchmark: { osl: 1 } });
    expect(valuesAt(recipe(2, 6), ran?.varied ?? [])).toEqual({ 'benchmark.isl': 2, 'args.a.b': 6 });
    expect(whatRan({ nothing: true })).toBeUndefined();
  });

  it('says how many GPUs workers have', () => {
    const agg = { gpus_per_node: 4, agg_nodes: 2, agg_workers: 4 };
    expect(gpusOf({ resources: agg })).toEqual({ total: 8, prefill: null, decode: null });
    const shared = {
      gpus_per_node: 8,
      prefill_nodes: 1,
      prefill_workers: 2,
      decode_nodes: 0,
      decode_workers: 1,
    };
    expect(gpusOf({ resources: shared })).toEqual({ total: 12, prefill: 8, decode: 4 });
    expect(gpusOf({})).toBeNull();
  });
});
