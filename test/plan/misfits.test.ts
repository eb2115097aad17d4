import { describe, expect, it } from 'vitest';
import { PlanError } from '../../src/os/errors.ts';
import { allocationsOf } from '../../src/plan/allocations.ts';
import { loadText, small } from '../recipe/write.ts';

/** Decode workers of `gpus` GPUs on `nodes` nodes of 8. */
const text = (sweep: string) =>
  `sweep: ${sweep}\n${small}`.replace(
    'decode_nodes: 1\n  decode_workers: 1',
    'decode_nodes: "{nodes}"\n  decode_workers: 1\n  gpus_per_decode: "{gpus}"',
  );

const variantOf = (sweep: string) => {
  const [variant] = loadText(text(sweep));
  if (!variant) throw new Error('no variant');
  return variant;
};

const lineOf = (sweep: string): string => {
  try {
    allocationsOf(variantOf(sweep));
  } catch (error) {
    if (error instanceof PlanError) return error.oneLine().replace(/^.*recipe\.yaml/, '');
    throw error;
  }
  throw new Error('every point fits');
};

describe('points of a sweep whose workers do not fit', () => {
  it('are named all at once, with their parameters and the reasons', () => {
    expect(lineOf('{gpus: [8, 16, 32], nodes: [1, 2]}')).toBe(
      ':10:3: resources.decode_workers: 3 of 6 points do not fit: gpus=16 nodes=1: 1 decode workers of 16 GPUs each do not fit on 2 nodes of 8 beside the prefill workers; gpus=32 nodes=1: 1 decode workers of 32 GPUs each do not fit on 2 nodes of 8 beside the prefill workers; gpus=32 nodes=2: 1 decode workers of 32 GPUs each do not fit on 3 nodes of 8 beside the prefill workers (sweep.skip_misfits: true leaves them out)',
    );
  });

  it('are left out where the recipe says so, and the others keep their numbers', () => {
    const { variants, notices } = allocationsOf(
      variantOf('{gpus: [8, 16, 32], nodes: [1, 2], skip_misfits: true}'),
    );
    expect(variants.flatMap(({ points }) => points.map(({ ordinal }) => ordinal)).sort()).toEqual([0, 1, 3]);
    expect(variants[0]?.leftOut?.map(({ ordinal, params }) => [ordinal, params])).toEqual([
      [2, { gpus: 16, nodes: 1 }],
      [4, { gpus: 32, nodes: 1 }],
      [5, { gpus: 32, nodes: 2 }],
    ]);
    expect(notices[0]).toContain('3 of 6 points are left out because they do not fit: gpus=16 nodes=1: ');
  });

  it('are an error when no point fits, whatever the recipe says', () => {
    expect(lineOf('{gpus: [16, 32], nodes: [1], skip_misfits: true}')).toContain(
      'no point of the sweep fits: gpus=16 nodes=1: ',
    );
  });
});

describe('a sweep that is a list of points', () => {
  it('runs these points', () => {
    const { points } = variantOf('[{gpus: 8, nodes: 1}, {gpus: 16, nodes: 2}]');
    expect(points.map(({ params, name }) => [name, params])).toEqual([
      ['small_gpus8_nodes1', { gpus: 8, nodes: 1 }],
      ['small_gpus16_nodes2', { gpus: 16, nodes: 2 }],
    ]);
  });

  it.each([
    ['[]', 'sweep: has no point'],
    ['[8, 16]', 'sweep[0]: must be a map of parameters, such as {tp: 4, nodes: 1}'],
    ['[{gpus: 8, nodes: 1}, {gpus: 8}]', 'sweep[1]: has no nodes, which another point has'],
  ])('is refused with the place of a wrong point: %s', (sweep, message) => {
    expect(() => loadText(text(sweep))).toThrow(message.split(': ')[1]);
  });
});
