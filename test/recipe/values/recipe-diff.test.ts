import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { differences, differenceText } from '../../../src/recipe/values/recipe-diff.ts';

describe('differences of two recipes', () => {
  it('are listed by path, with the old and the new value', () => {
    const before = { name: 'a', benchmark: { isl: 64, list: [1, 2] }, gone: true };
    const after = { name: 'a', benchmark: { isl: 128, list: [1, 3] }, added: { x: 1 } };
    expect(differences(before, after).map(differenceText)).toEqual([
      'benchmark.isl: 64 → 128',
      'benchmark.list: [1,2] → [1,3]',
      'gone: true → (not there)',
      'added: (not there) → {"x":1}',
    ]);
  });

  it('are none exactly when the recipes are equal', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        expect(differences(a, structuredClone(a))).toEqual([]);
        const same = JSON.stringify(a) === JSON.stringify(b);
        if (same) expect(differences(a, b)).toEqual([]);
      }),
    );
  });
});
