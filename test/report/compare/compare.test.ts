import { describe, expect, it } from 'vitest';
import { changeText, comparisonsOf, isBetter } from '../../../src/report/compare/compare.ts';
import { oldJob, row, source } from '../sources.ts';

const c = (concurrency: number, outputThroughput: number, given = {}) =>
  row({ concurrency, outputThroughput, ...given });
const deltaOf = (
  comparison: ReturnType<typeof comparisonsOf>[number] | undefined,
  at: number,
  figure: string,
) => comparison?.rows[at]?.deltas.find((delta) => delta.figure === figure);

describe('a comparison', () => {
  it('matches results by parameters and load, whatever their order, and names those on one side only', () => {
    const before = source(
      'a',
      [[c(4, 100), c(8, 200)], [c(4, 300)]],
      [
        { x: 1, y: 2 },
        { x: 2, y: 2 },
      ],
    );
    const after = source(
      'b',
      [[c(4, 330)], [c(8, 150), c(16, 1)]],
      [
        { y: 2, x: 2 },
        { x: 1, y: 2 },
      ],
    );
    const [comparison] = comparisonsOf([before, after]);
    expect(comparison?.rows.map(({ before, after, label }) => [before, after, label])).toEqual([
      ['0/0', null, 'x=1, y=2 c=4'],
      ['0/1', '1/0', 'x=1, y=2 c=8'],
      ['1/0', '0/0', 'x=2, y=2 c=4'],
      [null, '1/1', 'x=1, y=2 c=16'],
    ]);
    const delta = deltaOf(comparison, 1, 'output tok/s');
    expect(delta).toMatchObject({ before: 200, after: 150, change: -0.25 });
    expect(delta && [changeText(delta), isBetter(delta)]).toEqual(['-25.0 %', false]);
    const latency = { before: 10, after: 5, change: -0.5, figure: 'TTFT p99', better: 'lower' as const };
    expect(isBetter(latency)).toBe(true);
  });

  it('matches the result of another tool, which has no parameters, by a load that is unique on both sides', () => {
    const sweep = source(
      'a',
      [[c(4, 100), c(2, 1)], [c(8, 200)], [c(2, 1)]],
      [{ batch: 1 }, { batch: 2 }, { batch: 3 }],
    );
    const file = source('file', [[c(8, 220, { valid: false, reasons: ['1 failed'] }), c(2, 1)]]);
    const [comparison] = comparisonsOf([sweep, file]);
    expect(comparison?.rows.map(({ before, after, valid }) => [before, after, valid])).toEqual([
      ['0/0', null, true],
      ['0/1', null, true],
      ['1/0', '0/0', false],
      ['2/0', null, true],
      [null, '0/1', true],
    ]);
    expect(deltaOf(comparison, 2, 'output tok/s')?.change).toBeCloseTo(0.1);
  });

  it('has no change from zero or without a figure', () => {
    const [comparison] = comparisonsOf([
      source('a', [[c(4, 0, { outputPerGpu: null })]]),
      source('b', [[c(4, 5, { outputPerGpu: 1 })]]),
    ]);
    expect(deltaOf(comparison, 0, 'output tok/s')?.change).toBeNull();
    expect(deltaOf(comparison, 0, 'output tok/s/GPU')).toMatchObject({
      before: null,
      after: 1,
      change: null,
    });
  });

  it('says when prompts were not the same', () => {
    const sent = (hash: string) => {
      const { result } = oldJob('2026-11-29-de5351b', 'done').points[0]?.rows[0] ?? {};
      const workload = {
        dataset: 'random',
        prompts: 'words',
        tokenizer: null,
        chatTemplate: 'none',
        hash,
      } as const;
      return source('a', [[row(result ? { result: { ...result, workload } } : {})]]);
    };
    expect(comparisonsOf([sent('1'), sent('2')])[0]?.rows[0]?.notes).toEqual(['other prompts']);
    expect(comparisonsOf([sent('1'), sent('1')])[0]?.rows[0]?.notes).toEqual([]);
  });

  it('says what differed in what ran, path by path', () => {
    const a = { ...source('a', []), recipe: { benchmark: { isl: 1 }, x: 1 }, varied: ['isl'] };
    const b = {
      ...source('b', []),
      recipe: { benchmark: { isl: 2 }, x: 1 },
      environment: [['nodes', '2']] as const,
    };
    const [comparison] = comparisonsOf([a, b]);
    expect(comparison?.recipe).toEqual([
      { path: 'benchmark.isl', before: 1, after: 2 },
      { path: 'paths that the sweep changes', before: 'isl', after: '' },
    ]);
    expect(comparison?.environment).toEqual([{ path: 'nodes', before: undefined, after: '2' }]);
  });
});
