import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { resolveOverrides } from '../../src/recipe/resolve-override.ts';
import { parseSource } from '../../src/recipe/source/source.ts';
import { expandVariants } from '../../src/recipe/variants.ts';

const shared = resolve(import.meta.dirname, '../../../shared/recipes');
const present = existsSync(shared) || process.env.CI === 'true';

/** The values of the variants as loaded, and as loaded from their texts. */
function bothWays(text: string): [unknown[], unknown[]] {
  const loaded = expandVariants(parseSource('r.yaml', text)).map(({ variant, value }) => [variant, value]);
  const resolved = resolveOverrides('r.yaml', text).map(({ variant, text: own }) => [
    variant,
    parseSource('r.yaml', own).value,
  ]);
  return [loaded, resolved];
}

const keys = fc.constantFrom('a', 'b', 'c', 'env', 'x y', '0');
const scalar = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.integer({ min: -9, max: 9 }),
  fc.constantFrom('', 'null', '1.0', 'yes', '# no', 'a: b', '{x}', 'two\nlines', "it's"),
  fc.constantFrom(0.5, 1e-7),
);
const value: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  any: fc.oneof({ maxDepth: 3 }, scalar, tie('map'), fc.array(tie('any'), { maxLength: 3 })),
  map: fc.dictionary(keys, tie('any'), { maxKeys: 3 }),
})).any;
const map = fc.dictionary(keys, value, { maxKeys: 4 });
/** Maps whose lists all have two elements or one. */
const zipped: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  map: fc.dictionary(
    keys,
    fc.oneof(
      { maxDepth: 2 },
      scalar,
      tie('map'),
      fc.array(value, { minLength: 2, maxLength: 2 }),
      value.map((one) => [one]),
    ),
    { maxKeys: 3 },
  ),
})).map;

describe('a resolved variant', () => {
  it('equals the variant, for any base and overrides', () => {
    fc.assert(
      fc.property(map, map, zipped, fc.boolean(), (base, override, zip, named) => {
        const text = stringify(
          { base: { ...(named ? { name: 'n' } : {}), ...base }, override_x: override, zip_override_y: zip },
          { aliasDuplicateObjects: false },
        );
        const [loaded, resolved] = bothWays(text);
        expect(resolved).toEqual(loaded);
      }),
      { numRuns: 400 },
    );
  });

  it.skipIf(!present)('equals the variant for every public recipe with overrides', () => {
    const names = readdirSync(shared, { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.yaml'),
    );
    const texts = names.map((name) => readFileSync(join(shared, name), 'utf8'));
    const withOverrides = texts.filter((text) => /^base:/m.test(text));
    expect(withOverrides.length).toBeGreaterThan(5);
    for (const text of withOverrides) {
      const [loaded, resolved] = bothWays(text);
      expect(resolved).toEqual(loaded);
    }
  });

  it('keeps order and comments of the base and of the override', () => {
    const text = `# Head
base:
  # the name
  name: r # short
  resources: {gpus_per_node: 8}

  environment: &env
    A: "1"   # first
    B: 1.0
override_x:
  # changed
  environment:
    # why B
    B: 2.50
    C: 3 # new
  resources: null
  more: *env
`;
    expect(resolveOverrides('r.yaml', text)[0]?.text).toBe(`# Head

# the name
name: r_x # short

# changed
environment:
  A: "1" # first
  # why B
  B: 2.50
  C: 3 # new
more:
  A: "1" # first
  B: 1.0
`);
  });

  it('equals the file for a recipe without overrides', () => {
    expect(resolveOverrides('r.yaml', 'name:   r\n')).toEqual([{ variant: '', text: 'name:   r\n' }]);
  });
});
