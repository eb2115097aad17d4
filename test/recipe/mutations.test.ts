import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { parse, stringify } from 'yaml';
import { planAllocation } from '../../src/cli/dry-run/plan.ts';
import { SrtctlError } from '../../src/os/errors.ts';
import { loadRecipeFile } from '../../src/recipe/load.ts';
import { cluster, small } from './write.ts';

const shared = resolve(import.meta.dirname, '../../../shared/recipes');
const second = resolve(import.meta.dirname, '../../../shared/recipes-v2');
/** Changes the public recipes beside this repository too; without them, only the small recipe. */
const present = existsSync(shared) || process.env.CI === 'true';
const SMALL_FILE = 5_000;
const CASES = 2_000;
const CASES_OF_SECOND = 500;

const scratch = mkdtempSync(join(tmpdir(), 'srtctl-mutations-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

type Parts = Record<string, unknown>;
type Path = (string | number)[];

/** Small recipes to change, because their keys matter and not their number. */
function sources(): Parts[] {
  if (!present) return [parse(small)];
  const texts = readdirSync(shared, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.yaml'))
    .sort()
    .map((name) => readFileSync(join(shared, name), 'utf8'))
    .filter((text) => text.length < SMALL_FILE);
  return [parse(small), ...texts.filter((_, index) => index % 4 === 0).map((text) => parse(text))];
}

/** The recipes of the second layout that are valid YAML in each reader. */
const sourcesOfSecond = (): Parts[] =>
  readdirSync(second, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.yaml') && !name.endsWith('v1.yaml') && !name.includes('umbp'))
    .sort()
    .map((name) => parse(readFileSync(join(second, name), 'utf8'), { merge: true }));

/** Whole numbers below `bound` that are the same in every run. */
function sequence(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7f_ff_ff_ff;
    return (state >> 8) % bound;
  };
}

const pathsOf = (value: unknown, at: Path = []): Path[] =>
  typeof value !== 'object' || value === null
    ? []
    : Object.entries(value).flatMap(([key, below]) => {
        const path = [...at, Array.isArray(value) ? Number(key) : key];
        return [path, ...pathsOf(below, path)];
      });

const odd: readonly unknown[] = [
  ...[
    null,
    0,
    -1,
    1.5,
    1e30,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    true,
    '',
    'x',
    'a\u0000b',
    'y'.repeat(10_000),
  ],
  ...['{tp}', '{', '${', '$HOME', '04:00:00', '__proto__', [], [1, 'x', null], [[1, 2]], {}, { a: { b: 1 } }],
];
const keys = [
  '__proto__',
  'constructor',
  'toString',
  'override_',
  'override_x',
  'zip_override_x',
  'base',
  'sweep',
];

function mutate(recipe: Parts, next: (bound: number) => number): void {
  const paths = pathsOf(recipe);
  const path = paths[next(paths.length)] ?? [];
  const parent = path.slice(0, -1).reduce<Parts>((part, key) => part[key] as Parts, recipe);
  const key = String(path.at(-1));
  switch (next(5)) {
    case 0:
      delete parent[key];
      break;
    case 1:
      parent[`${key.slice(0, -1)}z`] = parent[key];
      delete parent[key];
      break;
    case 2:
      parent[keys[next(keys.length)] ?? ''] = odd[next(odd.length)];
      break;
    case 3:
      parent[key] = [parent[key], 1];
      break;
    default:
      parent[key] = odd[next(odd.length)];
  }
}

describe(`a recipe with something wrong in it${present ? '' : ' (the small one: the public ones are not here)'}`, () => {
  it('is planned, or refused in one line with its file', { timeout: 180_000 }, () => {
    const seen = tryChanges(sources(), CASES);
    expect(Math.min(seen.planned, seen.refused)).toBeGreaterThan(CASES / 10);
  });

  it.skipIf(!present)('of the second layout is too', { timeout: 180_000 }, () => {
    const seen = tryChanges(sourcesOfSecond(), CASES_OF_SECOND);
    expect(Math.min(seen.planned, seen.refused)).toBeGreaterThan(CASES_OF_SECOND / 10);
  });
});

function tryChanges(recipes: readonly Parts[], cases: number): { planned: number; refused: number } {
  const next = sequence(20_261_124);
  const file = join(scratch, 'recipe.yaml');
  const seen = { planned: 0, refused: 0 };
  for (let index = 0; index < cases; index++) {
    const recipe = structuredClone(recipes[next(recipes.length)]) as Parts;
    for (let times = next(2); times >= 0; times--) mutate(recipe, next);
    const text = stringify(recipe, { aliasDuplicateObjects: false });
    writeFileSync(file, text);
    for (const result of loadRecipeFile({ file }, { cluster: cluster(), env: {} })) {
      const planned = 'error' in result ? result : planAllocation(result.loaded, cluster());
      if (!('error' in planned)) seen.planned++;
      else {
        seen.refused++;
        expect(planned.error, text).toBeInstanceOf(SrtctlError);
        expect(planned.error.oneLine(), text).toMatch(/^[^\n]*recipe\.yaml[^\n]+$/);
      }
    }
  }
  return seen;
}
