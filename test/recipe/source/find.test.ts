import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findRecipes, type LoadOptions, loadAll } from '../../../src/recipe/load.ts';
import { cluster, small, writeFiles } from '../write.ts';

const variants = `base:\n${small.replaceAll(/^/gm, '  ').trimEnd()}
override_mtp: {benchmark: {isl: 1}}
zip_override_mtp: {benchmark: {isl: [2, 3]}}
zip_override_lowlat: {benchmark: {isl: [4, 5]}}
`;

const directory = writeFiles({
  'a/one.yaml': small,
  'a/b/two.yaml': variants,
  'a/b/three.yml': small,
  'a/srtslurm.yaml': 'cluster: x\n',
  'a/odd[1].yaml': small,
});

/** The variants that paths below the directory select, as `file:isl of each variant`. */
async function taken(...paths: string[]): Promise<string[]> {
  const files = await findRecipes(paths.map((path) => join(directory, path)));
  const options: LoadOptions = { cluster: cluster(), env: {} };
  return loadAll(files, options).map(
    ({ file, points }) => `${file.slice(directory.length + 1)}:${points[0]?.recipe.benchmark.isl}`,
  );
}

describe('the argument of -f', () => {
  it('is a file, a directory with all recipes below it, or several of them, each once', async () => {
    expect(await taken('a/one.yaml')).toEqual(['a/one.yaml:128']);
    expect((await taken('a')).map((each) => each.split(':')[0])).toEqual([
      ...['a/b/three.yml', ...Array(5).fill('a/b/two.yaml'), 'a/odd[1].yaml', 'a/one.yaml'],
    ]);
    expect(await taken('a/one.yaml', 'a/b/three.yml', 'a/one.yaml')).toHaveLength(2);
  });

  it('is a pattern, or a name with brackets when such a file exists', async () => {
    expect(await taken('a/*.yaml')).toEqual(['a/odd[1].yaml:128', 'a/one.yaml:128']);
    expect(await taken('a/**/t*.{yml,yaml}:mtp_1')).toEqual(['a/b/two.yaml:3']);
    expect(await taken('a/odd[1].yaml')).toEqual(['a/odd[1].yaml:128']);
  });

  it('selects one of two overrides of the same name by its whole key', async () => {
    expect(await taken('a/b/two.yaml:override_mtp')).toEqual(['a/b/two.yaml:1']);
    expect(await taken('a/b/two.yaml:zip_override_mtp')).toEqual(['a/b/two.yaml:2', 'a/b/two.yaml:3']);
    expect(await taken('a/b/two.yaml:zip_override_mtp[1]')).toEqual(['a/b/two.yaml:3']);
    expect(await taken('a/b/two.yaml:base')).toEqual(['a/b/two.yaml:128']);
  });

  it('selects all variants that match a pattern', async () => {
    expect(await taken('a/b/two.yaml:zip_override_*')).toHaveLength(4);
    expect(await taken('a/b/two.yaml:*lat*')).toEqual(['a/b/two.yaml:4', 'a/b/two.yaml:5']);
    expect(await taken('a/b/two.yaml:*[1]')).toEqual(['a/b/two.yaml:3', 'a/b/two.yaml:5']);
  });

  it('skips files without such a variant, as long as one file has it', async () => {
    expect(await taken('a:lowlat')).toEqual(['a/b/two.yaml:4', 'a/b/two.yaml:5']);
    await expect(taken('a:nothing')).rejects.toThrow(/no variant "nothing" in any of these recipes/);
  });

  it('that matches nothing is an error that lists the choices', async () => {
    await expect(taken('a/none.yaml')).rejects.toThrow(/no such file/);
    await expect(taken('a/*.json')).rejects.toThrow(/no recipe matches/);
    await expect(taken('a/b/two.yaml:lowlatt')).rejects.toThrow(
      /it has base, override_mtp, zip_override_mtp\[0\]/,
    );
  });
});

describe('unknown keys', () => {
  const text = small
    .replace('name: small', 'name: small\nnmae: x')
    .replace(
      'backend:\n',
      'backend:\n  kv_events_config: {prefill: {topic: t, tpoic: u}}\n  sglang_confg: 1\n',
    )
    .replace('isl: 128', 'isl: 128, islands: 3');

  it('are errors, or go to the callback and are skipped', async () => {
    const file = join(writeFiles({ 'r.yaml': text }), 'r.yaml');
    const files = await findRecipes([file]);
    expect(() => loadAll(files, { cluster: cluster(), env: {} })).toThrow(/unknown key/);
    const found: string[] = [];
    const [variant] = loadAll(files, {
      cluster: cluster(),
      env: {},
      onUnknownKey: ({ place, hint }) => found.push(`${place.line} ${place.path} ${hint ?? ''}`.trim()),
    });
    expect(found.sort()).toEqual([
      '15 backend.kv_events_config.prefill.tpoic did you mean "topic"?',
      '16 backend.sglang_confg did you mean "sglang_config"?',
      '2 nmae did you mean "name"?',
      '20 benchmark.islands',
    ]);
    expect(variant?.points[0]?.recipe.benchmark.isl).toBe(128);
  });

  it('do not hide other errors', async () => {
    const file = join(writeFiles({ 'r.yaml': text.replace('osl: 128', 'osl: many') }), 'r.yaml');
    const files = await findRecipes([file]);
    expect(() => loadAll(files, { cluster: cluster(), env: {}, onUnknownKey: () => undefined })).toThrow(
      /must be a number/,
    );
  });
});
