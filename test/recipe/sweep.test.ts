import { describe, expect, it } from 'vitest';
import { expandSweep } from '../../src/recipe/sweep.ts';
import { lineOf, loadText, small } from './write.ts';

describe('a sweep', () => {
  it('makes a point of every combination, and the last parameter varies fastest', () => {
    const points = expandSweep({ sweep: { a: [1, 2], b: ['x', 'y'] } });
    expect(points.map(({ params }) => params)).toEqual([
      { a: 1, b: 'x' },
      { a: 1, b: 'y' },
      { a: 2, b: 'x' },
      { a: 2, b: 'y' },
    ]);
  });

  it('combines its lists element by element in mode zip', () => {
    const points = expandSweep({ sweep: { mode: 'zip', a: [1, 2], b: ['x', 'y'], c: [0] } });
    expect(points.map(({ params }) => params)).toEqual([
      { a: 1, b: 'x', c: 0 },
      { a: 2, b: 'y', c: 0 },
    ]);
    expect(() => expandSweep({ sweep: { mode: 'zip', a: [1, 2, 3], b: [1, 2] } })).toThrow(/has 2 values/);
  });

  it('keeps the type of a parameter that is the whole value, and makes text of a parameter inside of a value', () => {
    const [point] = expandSweep({
      sweep: { n: [8], list: [[1, 2]] },
      whole: '{n}',
      part: 'tp{n}',
      l: '{list}',
    });
    expect(point?.value).toEqual({ whole: 8, part: 'tp8', l: [1, 2] });
  });

  it('names its points after the recipe and their parameters', () => {
    const [variant] = loadText(`sweep: {tp: [4, 8]}\n${small.replaceAll('size: 8', 'size: "{tp}"')}`);
    expect(variant?.name).toBe('small');
    expect(variant?.points.map(({ name }) => name)).toEqual(['small_tp4', 'small_tp8']);
    expect(variant?.points[1]?.recipe.backend).toMatchObject({
      sglang_config: { prefill: { 'tensor-parallel-size': 8 } },
    });
  });

  it('keeps the names when the recipe itself makes them different', () => {
    const [variant] = loadText(
      `sweep: {tp: [4, 8]}\n${small.replace('name: small', 'name: "small-tp{tp}"')}`,
    );
    expect(variant?.points.map(({ name }) => name)).toEqual(['small-tp4', 'small-tp8']);
    expect(variant?.name).toBe('small');
  });

  it('is refused with the place of a placeholder without a parameter', () => {
    expect(lineOf(small.replace('/models/m', '"/models/{size}"'))).toBe(
      'recipe.yaml:2:9: model.path: placeholder {size} is not a parameter of the sweep',
    );
  });

  it.each([
    ['{order: random, a: [1]}', 'sweep.order: must be one of fewest-restarts, as-written'],
    ['{ordr: as-written, a: [1]}', 'sweep.ordr: must be a list of at least one value (or is "order" meant?)'],
    ['{on_failure: {retry: 0}, a: [1]}', 'sweep.on_failure.retry: must be at least 1'],
    ['{on_failure: {retry: x}, a: [1]}', 'sweep.on_failure.retry: must be a number'],
    ['{on_failure: {retrys: 1}, a: [1]}', 'sweep.on_failure.retrys: unknown key (did you mean "retry"?)'],
    ['{on_failure: never, a: [1]}', 'sweep.on_failure: must be continue or abort or a map'],
    [
      '{point_time_limit: soon, a: [1]}',
      'sweep.point_time_limit: is no time limit: minutes, HH:MM:SS or D-HH',
    ],
  ])('is refused with the place of an invalid setting: %s', (sweep, message) => {
    expect(lineOf(`sweep: ${sweep}\n${small}`)).toContain(`: ${message}`);
    expect(lineOf(`sweep: ${sweep}\n${small}`)).toMatch(/^recipe\.yaml:1:/);
  });

  it('is refused with a time limit that Slurm cannot read', () => {
    expect(lineOf(`slurm: {time_limit: "4 hours"}\n${small}`)).toMatch(
      /^recipe\.yaml:1:9: slurm\.time_limit: is no time limit/,
    );
    for (const limit of ['90', '"04:00:00"', '1-12', '"UNLIMITED"'])
      expect(loadText(`slurm: {time_limit: ${limit}}\n${small}`)).toHaveLength(1);
  });

  it('accepts a list for a parameter, even when its name is that of a setting', () => {
    const [variant] = loadText(`sweep: {order: [4, 8]}\n${small.replaceAll('size: 8', 'size: "{order}"')}`);
    expect(variant?.points).toHaveLength(2);
    expect(variant?.sweep.order).toBe('fewest-restarts');
  });

  it('does not change the braces of shell variables, JSON, commands and worker placeholders', () => {
    const [point] = expandSweep({
      env: '${HOME} {node}',
      json: '{"a": {"b": 1}}',
      benchmark: { command: "awk '{print}'" },
    });
    expect(point?.value).toEqual({
      env: '${HOME} {node}',
      json: '{"a": {"b": 1}}',
      benchmark: { command: "awk '{print}'" },
    });
  });
});
