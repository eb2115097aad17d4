import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findRecipes, loadAll, loadedVariantSchema } from '../../src/recipe/load.ts';
import { cluster, lineOf, loadText, small, writeFiles } from './write.ts';

const indented = small.replaceAll(/^/gm, '  ').trimEnd();
const withBase = (overrides: string) => `base:\n${indented}\n${overrides}`;

describe('the lock section of a run of the reference', () => {
  it('is no part of the recipe', () => {
    const [variant] = loadText(`${small}lock: {version: 2, slurm: {job_id: '1'}}\n`);
    expect(variant?.points[0]?.recipe).not.toHaveProperty('lock');
    const file = `base:\n${small.replaceAll(/^/gm, '  ')}\nlock: {version: 2}\n`;
    expect(loadText(file)).toHaveLength(1);
  });
});

describe('the variants of a recipe file', () => {
  it('are one without a name when the file has no overrides', () => {
    const [variant, ...more] = loadText(small);
    expect(more).toEqual([]);
    expect(variant).toMatchObject({ variant: '', name: 'small', points: [{ params: null, name: 'small' }] });
  });

  it('are the overrides, merged into the base, which is no variant itself', () => {
    const variants = loadText(
      withBase(
        'override_big:\n  resources: {decode_nodes: 2, decode_workers: 2}\noverride_named:\n  name: other\n',
      ),
    );
    expect(variants.map(({ variant, name }) => [variant, name])).toEqual([
      ['big', 'small_big'],
      ['named', 'other'],
    ]);
    expect(variants[0]?.points[0]?.recipe.resources).toMatchObject({ decode_nodes: 2, prefill_nodes: 1 });
  });

  it('take keys away with null, and replace lists whole', () => {
    const [variant] = loadText(
      withBase(
        'override_x:\n  frontend: null\n  benchmark: {concurrencies: [7]}\n  extra_mount: ["/a:/b"]\n',
      ),
    );
    const recipe = variant?.points[0]?.recipe;
    expect(recipe?.frontend.type).toBe('dynamo');
    expect(recipe?.benchmark.concurrencies).toEqual([7]);
    expect(recipe?.benchmark.isl).toBe(128);
  });

  it('are one for each position of the lists in a zip_override, in which single values fit all', () => {
    const variants = loadText(
      withBase(`zip_override_z:
  resources: {decode_nodes: [1, 2, 3], decode_workers: [1, 2, 3]}
  benchmark: {osl: [9], isl: 5}
  backend: {sglang_config: {decode: {cuda-graph-bs: [[1, 2], [3], [4]]}}}
`),
    );
    expect(variants.map(({ variant }) => variant)).toEqual(['z_0', 'z_1', 'z_2']);
    const recipes = variants.map(({ points }) => points[0]?.recipe);
    expect(recipes.map((recipe) => recipe?.resources.decode_nodes)).toEqual([1, 2, 3]);
    expect(recipes.map((recipe) => recipe?.benchmark.osl)).toEqual([9, 9, 9]);
    expect(recipes.map((recipe) => recipe?.backend)).toMatchObject(
      [[1, 2], [3], [4]].map((sizes) => ({ sglang_config: { decode: { 'cuda-graph-bs': sizes } } })),
    );
  });

  it('are refused when the lists of a zip_override differ in length', () => {
    expect(
      lineOf(
        withBase('zip_override_z:\n  resources:\n    decode_nodes: [1, 2, 3]\n    decode_workers: [1, 2]\n'),
      ),
    ).toMatch(
      /^recipe\.yaml:\d+:5: zip_override_z\.resources\.decode_workers: lists of a zip_override must be equally long/,
    );
  });

  it('have their own names and numbers, whatever their keys', () => {
    expect(lineOf(withBase('override_x_0: {}\nzip_override_x: {benchmark: {isl: [1, 2]}}\n'))).toMatch(
      /zip_override_x: makes a variant "x_0", as override_x_0 does/,
    );
    const [variant] = loadText(withBase('override_my_config: {benchmark: {random_range_ratio: 1.0}}\n'));
    expect(variant?.points[0]?.recipe.benchmark.random_range_ratio).toBe(1);
  });

  it('can be selected after the file name', async () => {
    const zipped = 'zip_override_z:\n  resources: {decode_workers: [1, 2]}\noverride_one: {name: one}\n';
    const file = join(writeFiles({ 'r.yaml': withBase(zipped) }), 'r.yaml');
    const pick = async (selector: string) => {
      const files = await findRecipes([`${file}:${selector}`]);
      return loadAll(files, { cluster: cluster(), env: {} }).map(({ variant }) => variant);
    };
    expect(await pick('one')).toEqual(['one']);
    expect(await pick('override_one')).toEqual(['one']);
    expect(await pick('z_1')).toEqual(['z_1']);
    expect(await pick('zip_override_z[0]')).toEqual(['z_0']);
    expect(await pick('zip_override_z')).toEqual(['z_0', 'z_1']);
    expect(await pick('base')).toEqual(['']);
    await expect(pick('nothing')).rejects.toThrow(/no variant "nothing"/);
  });
});

describe('a directory of recipes', () => {
  it('is read recursively, in order, without the cluster config', async () => {
    const directory = writeFiles({
      'b.yaml': '',
      'a/z.yaml': '',
      'a/b/c.yaml': '',
      'srtslurm.yaml': '',
      'x.txt': '',
    });
    expect((await findRecipes([directory])).map(({ file }) => file.slice(directory.length + 1))).toEqual([
      'a/b/c.yaml',
      'a/z.yaml',
      'b.yaml',
    ]);
  });
});

describe('a loaded variant', () => {
  it('is the same after it was written as JSON and read again', () => {
    const variants = loadText(`sweep: {tp: [4, 8]}\n${small.replaceAll('size: 8', 'size: "{tp}"')}`);
    expect(variants).toHaveLength(1);
    expect(loadedVariantSchema.parse(JSON.parse(JSON.stringify(variants[0])))).toEqual(variants[0]);
  });
});
