import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { planAllocation } from '../../src/cli/dry-run/plan.ts';
import { loadRecipeFile } from '../../src/recipe/load.ts';
import { deepMerge, isPlain, type Plain, without } from '../../src/recipe/values/merge.ts';
import { cluster, loadText } from './write.ts';

const root = resolve(import.meta.dirname, '../..');

const plainOf = (text: string): Plain => {
  const value: unknown = parse(text);
  if (!isPlain(value)) throw new Error('no map');
  return value;
};

/** What a recipe of the second layout needs at least; pages show the part that they are about. */
const whole = plainOf(`schema: 2
name: page
model: {path: /models/m, container: repo/image:1, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 8}
engine: sglang
roles: {agg: {nodes: 1, workers: 1}}
frontend: {type: sglang-router, enable_multiple_frontends: false}
benchmark: {type: sa-bench, isl: 128, osl: 128, concurrencies: [4]}
`);
const disaggregated = plainOf(`roles:
  agg: null
  prefill: {nodes: 2, workers: 2}
  decode: {nodes: 2, workers: 2}
`);
const servicesAlone = plainOf('{roles: null, engine: null, benchmark: null}');

/** The blocks of a page, with the line at which each begins. */
function blocksOf(page: string): [where: string, text: string][] {
  const text = readFileSync(join(root, page), 'utf8');
  return [...text.matchAll(/^```yaml\n(.*?)^```$/gms)].map((match) => [
    `${page}:${text.slice(0, match.index).split('\n').length}`,
    match[1] ?? '',
  ]);
}

/** A whole recipe around what a page shows. */
function recipeOf(text: string): Plain {
  const part = plainOf(text);
  if ('base' in part)
    return { schema: 2, ...part, base: without(deepMerge(whole, disaggregated), ['schema']) };
  if (isPlain(part.frontend) && part.frontend.type === 'none')
    return deepMerge(deepMerge(whole, servicesAlone), part);
  return deepMerge(/\bdecode\b/.test(text) ? deepMerge(whole, disaggregated) : whole, part);
}

describe('recipes that pages show', () => {
  const blocks = ['docs/reference/recipes.md', 'docs/reference/services.md'].flatMap(blocksOf);

  it('are there', () => {
    expect(blocks.length).toBeGreaterThan(7);
  });

  it.each(blocks)('%s is read and planned', (_, text) => {
    for (const variant of loadText(JSON.stringify(recipeOf(text)))) {
      const planned = planAllocation(variant, cluster());
      expect('error' in planned ? planned.error.lines() : []).toEqual([]);
    }
  });

  it.each(['quickstart', 'sweep'])('examples/%s.yaml is of the second layout, and planned', (name) => {
    const file = join(root, 'examples', `${name}.yaml`);
    expect(readFileSync(file, 'utf8')).toMatch(/^schema: 2$/m);
    const results = loadRecipeFile(
      { file },
      { cluster: cluster({ containers: { sglang: 'a/b:1' } }), env: {} },
    );
    expect(results.filter((result) => 'error' in result)).toEqual([]);
  });
});
