import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { clusterJsonSchema, type JsonSchema, recipeJsonSchema } from '../../src/recipe/json-schema.ts';
import { secondSchema } from '../../src/recipe/layouts/second-schema.ts';

/** JSON schemas of the second layout, beside this repository; without them nothing is compared. */
const shared = resolve(import.meta.dirname, '../../../shared/recipes-v2/schema');
const present = existsSync(shared) || process.env.CI === 'true';

const parse = (file: string): JsonSchema => JSON.parse(readFileSync(resolve(shared, file), 'utf8'));

/** Paths of all properties; `of` resolves `#/$defs/NAME`. */
function pathsOf(whole: JsonSchema, start: unknown): string[] {
  const found = new Set<string>();
  const visit = (part: unknown, path: string): void => {
    if (typeof part !== 'object' || part === null) return;
    const { $ref, properties, anyOf, oneOf, allOf, items, additionalProperties } = part as Record<
      string,
      unknown
    >;
    if (typeof $ref === 'string')
      visit((whole.$defs as Record<string, unknown>)[$ref.replace('#/$defs/', '')], path);
    for (const [key, below] of Object.entries((properties ?? {}) as Record<string, unknown>)) {
      const at = path === '' ? key : `${path}.${key}`;
      found.add(at);
      visit(below, at);
    }
    for (const each of [anyOf, oneOf, allOf]) for (const one of (each ?? []) as unknown[]) visit(one, path);
    visit(items, path);
    visit(additionalProperties, `${path}.*`);
  };
  visit(start, '');
  return [...found];
}

/** Sections with the same keys in both layouts. */
const SAME = [
  ...['profiling', 'telemetry', 'observability', 'reporting', 'post_eval', 'host_setup', 'output'],
  ...['identity', 'benchmark'],
];

describe.skipIf(!present)('the second layout (its schemas are beside this repository)', () => {
  it('has no key in sections that both layouts share which a recipe does not have', () => {
    const theirs = parse('recipe.schema.json');
    const whole = recipeJsonSchema(1);
    const ours = new Set(pathsOf(whole, whole));
    const { RecipeBase, Recipe } = theirs.$defs as Record<string, unknown>;
    const all = [...pathsOf(theirs, RecipeBase), ...pathsOf(theirs, Recipe)];
    const shared = all.filter((path) => SAME.includes(path.split('.')[0] ?? ''));
    expect(shared.length).toBeGreaterThan(150);
    expect(shared.filter((path) => !ours.has(path))).toEqual([]);
  });

  it('has no key at all which a recipe of that layout does not have', () => {
    const theirs = parse('recipe.schema.json');
    const whole = z.toJSONSchema(secondSchema, { io: 'input', unrepresentable: 'any' }) as JsonSchema;
    const ofRoles = (path: string) => path.replace(/^roles\.(prefill|decode|agg)\b/, 'roles.*');
    const ours = new Set(pathsOf(whole, whole).map(ofRoles));
    const { Recipe } = theirs.$defs as Record<string, unknown>;
    const all = pathsOf(theirs, Recipe).filter((path) => !path.startsWith('sweep'));
    expect(all.length).toBeGreaterThan(400);
    expect(all.filter((path) => !ours.has(path))).toEqual([]);
  });

  it('has no key of srtslurm.yaml which ours does not have', () => {
    const theirs = parse('cluster.schema.json');
    const whole = clusterJsonSchema();
    const ours = new Set(pathsOf(whole, whole));
    const missing = pathsOf(theirs, theirs).filter((path) => !ours.has(path));
    // Read where the engines' environments are planned.
    expect(missing.filter((path) => path !== 'visible_devices_env')).toEqual([]);
  });
});
