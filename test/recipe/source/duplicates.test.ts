import { describe, expect, it } from 'vitest';
import { RecipeProblems } from '../../../src/recipe/source/problems.ts';
import { parseSource } from '../../../src/recipe/source/source.ts';
import { lineOf, loadText, small } from '../write.ts';

function errors(text: string): readonly string[] {
  try {
    parseSource('r.yaml', text);
  } catch (error) {
    if (error instanceof RecipeProblems) return error.lines();
    throw error;
  }
  return [];
}

describe('a key that stands twice in a map', () => {
  it('is an error with its path and both lines, for all such keys', () => {
    expect(errors('a:\n  x: 1\n  y: 2\n  x: 3\nb: [{z: 1, z: 2}]\n')).toEqual([
      'r.yaml:4:3: a.x: the key stands twice in this map, in line 2 and in line 4 (remove one of them; --allow-duplicate-keys takes the last one)',
      'r.yaml:5:12: b[0].z: the key stands twice in this map, in line 5 and in line 5 (remove one of them; --allow-duplicate-keys takes the last one)',
    ]);
  });

  it('counts with its last value, and each is reported, where the caller allows it', () => {
    const said: string[] = [];
    const source = parseSource('r.yaml', 'a: {x: 1}\na: {y: 1, y: 2}\n', [], {
      onDuplicateKey: ({ place }) => said.push(`${place.path} ${place.line}`),
    });
    expect(source.value).toEqual({ a: { y: 2 } });
    expect(said).toEqual(['a 2', 'a.y 2']);
    expect(source.place(['a', 'y'])).toMatchObject({ line: 2 });
  });

  it('is allowed by a variable of the environment', () => {
    const text = small.replace('isl: 128', 'isl: 64, isl: 128');
    expect(lineOf(text)).toContain('benchmark.isl: the key stands twice');
    const [loaded] = loadText(text, { env: { SRTCTL_ALLOW_DUPLICATE_KEYS: '1' } });
    expect(loaded?.points[0]?.recipe.benchmark.isl).toBe(128);
    expect(() => loadText(text, { env: { SRTCTL_ALLOW_DUPLICATE_KEYS: '0' } })).toThrow(RecipeProblems);
  });

  it('is not seen in keys of another type of the same map, or of another map', () => {
    expect(errors('a: {x: 1}\nb: {x: 1}\nc: {<<: {x: 1}, "<<": 2}\n')).toEqual([]);
  });
});

describe('a file with several YAML documents', () => {
  it('is refused with the line where the second begins', () => {
    expect(errors('---\na: 1\n---\nb: 2\n')).toEqual([
      'r.yaml:3:1: has more than one YAML document, and the second one begins here: a recipe file is one document, so a "---" line splits it into two files',
    ]);
  });

  it('may begin and end one document explicitly', () => {
    expect(errors('---\na: 1\n...\n')).toEqual([]);
  });
});

describe('merge keys', () => {
  it('take maps alone', () => {
    expect(errors('a: {<<: text}\n')).toEqual(['r.yaml:1:5: a merge key (<<) takes a map or a list of maps']);
  });

  it('are written once in a map', () => {
    expect(errors('a: &a {x: 1}\nb:\n  <<: *a\n  <<: *a\n')[0]).toContain('<<: [*a, *b]');
  });

  it('lead to the place of a merged key', () => {
    const source = parseSource('r.yaml', 'a: &a\n  x: 1\nb:\n  <<: [*a]\n  y: 1\n');
    expect(source.has(['b', 'x'])).toBe(true);
    expect(source.place(['b', 'x'])).toMatchObject({ line: 2, path: 'b.x' });
  });
});
