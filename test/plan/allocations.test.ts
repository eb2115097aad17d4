import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { allocationsOf, timeWarnings } from '../../src/plan/allocations.ts';
import { nodesNeeded, planVariant } from '../../src/plan/plan.ts';
import { createRuntimeContext, dryRunInput } from '../../src/plan/runtime-context.ts';
import type { LoadedVariant } from '../../src/recipe/load.ts';
import { cluster, loadText, small } from '../recipe/write.ts';

function variantOf(sweep: string, text = small): LoadedVariant {
  const [variant] = loadText(`sweep: ${sweep}\n${text}`);
  if (!variant) throw new Error('no variant');
  return variant;
}
/** Without sizes of SGLang, which would have to fit to each number of nodes. */
const sized = small
  .replace('decode_nodes: 1', 'decode_nodes: "{n}"')
  .replaceAll('tensor-parallel-size: 8', 'trust-remote-code: true');
const shown = ({ variants }: { variants: readonly LoadedVariant[] }) =>
  variants.map((each) => [each.name, nodesNeeded(each), each.points.map(({ ordinal }) => ordinal)]);

describe('the allocations of a variant', () => {
  it('are one for all its points, with the size of the largest', () => {
    const variant = variantOf('{n: [1, 3, 2]}', sized);
    expect(allocationsOf(variant)).toEqual({ variants: [variant], notices: [] });
    expect(nodesNeeded(variant)).toBe(4);
  });

  it('are one for each point when the recipe says so, with the point’s name and number', () => {
    const split = allocationsOf(variantOf('{allocation: per-point, n: [1, 7]}', sized));
    expect(shown(split)).toEqual([
      ['small_n1', 2, [0]],
      ['small_n7', 8, [1]],
    ]);
    const last = split.variants[1];
    if (!last) throw new Error('no second allocation');
    const nodes = Array.from({ length: 8 }, (_, index) => `node${index + 1}`);
    const plan = planVariant(last, createRuntimeContext(dryRunInput(nodes, cluster())));
    expect(plan.order).toEqual([1]);
    expect(plan.points[0]?.benchmark.resultDir).toMatch(/points\/01-small_n7$/);
  });

  it('are several, with a notice, when points differ in size by more than a factor of two', () => {
    const split = allocationsOf(variantOf('{n: [1, 7, 2, 3, 1]}', sized));
    expect(shown(split)).toEqual([
      ['small_8n', 8, [1, 3]],
      ['small_3n', 3, [0, 2, 4]],
    ]);
    expect(split.notices).toEqual([
      expect.stringMatching(
        /recipe\.yaml: its points need 2 to 8 nodes, so they run in 2 allocations: 8 nodes for 2 points, 3 nodes for 3 points$/,
      ),
    ]);
  });

  it('are several when points differ in mounts or Slurm options, because an allocation has one set of each', () => {
    const text = small.replace('/models/m', '"{m}"');
    const split = allocationsOf(variantOf('{m: [/models/a, /models/b]}', text));
    expect(shown(split)).toEqual([
      ['small_2n', 2, [0]],
      ['small_2n_2', 2, [1]],
    ]);
    expect(split.notices[0]).toMatch(
      /its points differ in model\.path, so they run in 2 allocations: 2 nodes for 1 point, 2 nodes for 1 point$/,
    );
    expect(allocationsOf(variantOf('{m: ["hf:a/b", "hf:a/c"]}', text)).variants).toHaveLength(1);
  });

  it('contain every point once, none with less than half of its nodes, and stay the same when split again', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(sizes, (counts) => {
        const { variants } = allocationsOf(variantOf(`{mode: zip, n: [${counts.join(', ')}]}`, sized));
        const ordinals = variants.flatMap(({ points }) => points.map(({ ordinal }, at) => ordinal ?? at));
        expect(ordinals.sort((a, b) => a - b)).toEqual(counts.map((_, index) => index));
        for (const each of variants) {
          const nodes = each.points.map(({ recipe }) => (recipe.resources.decode_nodes ?? 0) + 1);
          expect(Math.min(...nodes) * 2).toBeGreaterThanOrEqual(Math.max(...nodes));
          expect(allocationsOf(each).variants.map(({ points }) => points.length)).toEqual([
            each.points.length,
          ]);
        }
        expect(new Set(variants.map(({ name }) => name)).size).toBe(variants.length);
      }),
      { numRuns: 40 },
    );
  });
});

describe('the time of an allocation', () => {
  const limited = `${small}slurm: {time_limit: "01:00:00"}\n`.replace('isl: 128', 'isl: "{isl}"');
  const warned = (sweep: string, preset?: string, text = limited) =>
    timeWarnings(variantOf(sweep, text), preset);

  it('causes a warning when its points could take longer, and not when they fit or nothing is known', () => {
    expect(warned('{point_time_limit: 20, isl: [1, 2, 3, 4]}')).toEqual([
      expect.stringMatching(
        /recipe\.yaml:1:9: small: 4 points of up to 00:20:00 each do not fit into the time limit of 01:00:00, 3 of them surely do/,
      ),
    ]);
    expect(warned('{point_time_limit: 20, isl: [1, 2, 3]}')).toEqual([]);
    expect(warned('{isl: [1, 2, 3, 4]}')).toEqual([]);
    const without = small.replace('isl: 128', 'isl: "{isl}"');
    expect(warned('{point_time_limit: 20, isl: [1, 2]}', undefined, without)).toEqual([]);
    expect(warned('{point_time_limit: 20, isl: [1, 2]}', '00:30:00', without)).toHaveLength(1);
    expect(warned('{point_time_limit: 1-00, isl: [1, 2]}', 'UNLIMITED', without)).toEqual([]);
  });
});
