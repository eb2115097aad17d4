import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findRecipes, loadAll } from '../../../src/recipe/load.ts';
import { RecipeProblems } from '../../../src/recipe/source/problems.ts';
import { cluster, lineOf, loadText, small, writeFiles } from '../write.ts';

const changed = (from: string, to: string): string => {
  expect(small).toContain(from);
  return lineOf(small.replace(from, to));
};

describe('a recipe that is wrong is refused in one line, with file, line, column and path', () => {
  it('for a missing file', async () => {
    await expect(findRecipes(['/nowhere/r.yaml'])).rejects.toThrow(
      expect.objectContaining({ message: 'no such file', place: { file: '/nowhere/r.yaml' }, exitCode: 2 }),
    );
  });

  it('for aliases of nothing, of themselves, or of too many values', () => {
    const of = (environment: string) => lineOf(`${small}environment: ${environment}\n`);
    expect(of('{A: *nope}')).toBe('recipe.yaml:18:18: has an alias without its anchor &nope');
    expect(of('&e {A: *e}')).toBe('recipe.yaml:18:21: *e is inside its own anchor');
    const lines = Array.from(
      { length: 8 },
      (_, n) => `a${n}: &a${n} [${Array(9).fill(n ? `*a${n - 1}` : 1)}]`,
    );
    expect(lineOf(lines.join('\n'))).toMatch(/^recipe\.yaml:\d+:\d+: has more than 200000 values$/);
  });

  it('for endless brackets, and for values that are impossible on a command line', () => {
    expect(lineOf(`a: ${'['.repeat(100_000)}`)).toBe(
      'recipe.yaml:1:204: has more than 200 brackets within one another',
    );
    expect(lineOf(`${small}environment: {A: "a\\0b"}\n`)).toMatch(/recipe\.yaml:18:.*NUL character/);
    expect(lineOf(`${small}environment: {A: ${'x'.repeat(130_000)}}\n`)).toMatch(/longer than 120000/);
  });

  it('for a key with a meaning in JavaScript', () => {
    expect(lineOf(`${small}__proto__: {a: 1}\n`)).toBe('recipe.yaml:18:1: __proto__: unknown key');
    const base = `base:\n${small.replaceAll(/^/gm, '  ').trimEnd()}\n`;
    expect(lineOf(`${base}override_x: {__proto__: {a: 1}}\n`)).toMatch(/__proto__: unknown key$/);
  });

  it('for too many nodes, workers or points', () => {
    expect(changed('decode_nodes: 1', 'decode_nodes: 1000000000')).toMatch(/must be at most 20000/);
    const lists = ['a', 'b', 'c', 'd', 'e'].map(
      (name) => `${name}: [${Array.from({ length: 10 }, (_, n) => n)}]`,
    );
    expect(lineOf(`${small}sweep: {${lists}}\n`)).toMatch(
      /sweep: makes 100000 points, more than the limit of 10000/,
    );
  });

  it('for broken YAML', () => {
    expect(changed('gpu_type: h100', 'gpu_type: [h100')).toMatch(/^recipe\.yaml:5:3: not valid YAML: /);
    expect(lineOf('')).toBe('recipe.yaml: the file is empty');
  });

  it('for an unknown key, with the nearest known one', () => {
    expect(changed('prefill_nodes', 'prefil_nodes')).toBe(
      'recipe.yaml:6:3: resources.prefil_nodes: unknown key (did you mean "prefill_nodes"?)',
    );
    expect(changed('sglang_config', 'sglang_conf')).toMatch(
      /backend\.sglang_conf: unknown key \(did you mean/,
    );
    expect(changed('frontend:', 'wholly_unlike_anything:')).toMatch(/: wholly_unlike_anything: unknown key$/);
  });

  it('for a value of the wrong type', () => {
    expect(changed('gpus_per_node: 8', 'gpus_per_node: many')).toBe(
      'recipe.yaml:5:3: resources.gpus_per_node: must be a number',
    );
    expect(changed('prefill: {tensor-parallel-size: 8}', 'prefill: {a: [[1]]}')).toMatch(
      /backend\.sglang_config\.prefill\.a\[0\]: must be text or a number/,
    );
    expect(changed('1x4', '1xfour')).toMatch(/benchmark\.concurrencies: must be positive whole numbers/);
  });

  it('for a missing key', () => {
    expect(changed('name: ', '# name: ')).toMatch(/^recipe\.yaml:\d+:1: name: is missing \(text\)$/);
  });

  it('for an unknown backend, frontend or benchmark, with the known ones', () => {
    expect(changed('backend:\n', 'backend:\n  type: trtlm\n  trtllm_config: {}\n')).toMatch(
      /^recipe\.yaml:14:3: backend\.type: unknown backend "trtlm", known: sglang, .*\(did you mean "trtllm"\?\)$/,
    );
    expect(changed('type: sglang', 'type: dynamoo')).toMatch(
      /frontend\.type: unknown frontend "dynamoo", known: dynamo, sglang.* \(did you mean "dynamo"\?\)/,
    );
    expect(changed('type: sa-bench', 'type: sabench')).toMatch(
      /unknown benchmark "sabench", .*"sa-bench"\?\)$/,
    );
  });

  it('with all its errors: the first one and the number of the others in the line', () => {
    const text = small.replace('gpu_type: h100', 'gpu_typ: h100').replace('isl: 128', 'isl: no');
    expect(lineOf(text)).toMatch(/ \(\+1 more: --all-errors\)$/);
    try {
      loadText(text);
    } catch (error) {
      expect(error).toBeInstanceOf(RecipeProblems);
      expect((error as RecipeProblems).problems.map(({ place }) => place.path).sort()).toEqual([
        'benchmark.isl',
        'resources.gpu_typ',
      ]);
    }
  });

  it('in an override at the override, and in a value of the base at the base', () => {
    const base = `base:\n${small.replaceAll(/^/gm, '  ').trimEnd()}\n`;
    expect(lineOf(`${base}override_x:\n  resources:\n    agg_wrokers: 3\n`)).toBe(
      'recipe.yaml:21:5: resources.agg_wrokers: unknown key (did you mean "agg_workers"?)',
    );
    expect(lineOf(`${base}zip_override_x:\n  resources:\n    decode_nodes: [1, one]\n`)).toBe(
      'recipe.yaml:21:23: resources.decode_nodes: must be a number',
    );
    expect(lineOf(`${base.replace('gpu_type', 'gpu_tpye')}override_x: {name: y}\n`)).toMatch(
      /^recipe\.yaml:5:5: resources\.gpu_tpye/,
    );
  });

  it('without mentioning the other files of a directory', async () => {
    const directory = writeFiles({ 'a.yaml': small, 'b.yaml': small.replace('h100', '[h100]') });
    const files = await findRecipes([directory]);
    expect(() => loadAll(files, { cluster: cluster(), env: {} })).toThrow(
      expect.objectContaining({
        place: expect.objectContaining({ file: join(directory, 'b.yaml'), line: 4 }),
      }),
    );
  });
});
