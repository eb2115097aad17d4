import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { pairDifferences } from './pair-differences.ts';
import { factsOf } from './pair-facts.ts';

/** Public recipes, which are kept beside this repository and not in it. */
const shared = resolve(import.meta.dirname, '../../../../shared/recipes-v2');
const isThere = existsSync(shared) || process.env.CI === 'true';

describe.skipIf(!isThere)('a deployment in both layouts', () => {
  const pairs = Object.entries(pairDifferences);
  const fileOf = (pair: string, layout: 'v1' | 'v2') => join(shared, 'pairs', pair, `${layout}.yaml`);
  const notesOf = (pair: string): string =>
    readFileSync(join(shared, 'INDEX.tsv'), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith(`pairs/${pair}/`))
      .join('\n');

  it('is each of the pairs', () => {
    expect(Object.keys(pairDifferences).sort()).toEqual(readdirSync(join(shared, 'pairs')).sort());
  });

  it.each(pairs)('%s has plans that differ only where its files do', (pair, known) => {
    const first = factsOf(fileOf(pair, 'v1'));
    const second = factsOf(fileOf(pair, 'v2'));
    const differing = [...new Set([...first.keys(), ...second.keys()])].filter(
      (fact) => first.get(fact) !== second.get(fact),
    );
    const unexplained = differing.filter((fact) => !known.some((entry) => entry.fact.test(fact)));
    expect(unexplained.map((fact) => [fact, first.get(fact), second.get(fact)])).toEqual([]);
    const unused = known.filter((entry) => !differing.some((fact) => entry.fact.test(fact)));
    expect(unused).toEqual([]);
  });

  it.each(pairs)('%s: the reasons are in the texts', (pair, known) => {
    const wrong = known.filter(({ reason }) => {
      if ('index' in reason) return !notesOf(pair).includes(reason.index);
      return !(['first', 'second'] as const).every((layout) => {
        const line = reason[layout];
        if (!line) return true;
        const text = readFileSync(fileOf(pair, layout === 'first' ? 'v1' : 'v2'), 'utf8');
        return text.split('\n')[line[0] - 1]?.includes(line[1]);
      });
    });
    expect(wrong).toEqual([]);
  });
});
