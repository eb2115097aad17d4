import { describe, expect, it } from 'vitest';
import { parseSource } from '../../../src/recipe/source/source.ts';

const read = (text: string): unknown => parseSource('recipe.yaml', text).value;

describe('merge keys of YAML', () => {
  it('merge a map into another one, whose own keys take precedence', () => {
    const text = 'a: &a {x: 1, y: 2}\nb:\n  y: 3\n  <<: *a\n  z: 4\n';
    expect(read(text)).toMatchObject({ b: { x: 1, y: 3, z: 4 } });
  });

  it('merge a list of maps, in which the first one takes precedence', () => {
    const text = 'a: &a {x: 1}\nb: &b {x: 2, y: 2}\nc: {<<: [*a, *b]}\n';
    expect(read(text)).toMatchObject({ c: { x: 1, y: 2 } });
  });

  it('merge a map that is itself merged', () => {
    const text = 'a: &a {x: 1}\nb: &b {<<: *a, y: 2}\nc: {<<: *b, z: 3}\n';
    expect(read(text)).toMatchObject({ c: { x: 1, y: 2, z: 3 } });
  });

  it('are ordinary keys when they are quoted', () => {
    expect(read('a: {"<<": 1}\n')).toEqual({ a: { '<<': 1 } });
  });
});
