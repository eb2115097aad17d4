import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { type JsonSchema, recipeFileJsonSchema } from '../../src/recipe/json-schema.ts';
import { migrate } from '../../src/recipe/migrate/migrate.ts';
import { parseSource } from '../../src/recipe/source/source.ts';
import { small } from './write.ts';

const schema = recipeFileJsonSchema(1);

/** true when a text matches a definition of the schema. */
function passes(definition: 'recipe' | 'override' | 'zipOverride', text: string): boolean {
  const part = (schema.$defs as Record<string, JsonSchema>)[definition];
  const { value } = parseSource('recipe.yaml', text);
  return z.fromJSONSchema(part as Parameters<typeof z.fromJSONSchema>[0]).safeParse(value).success;
}

describe('the JSON Schema of a recipe file', () => {
  it('accepts a recipe, and refuses an unknown key, a wrong type and a missing key', () => {
    expect(passes('recipe', small)).toBe(true);
    expect(passes('recipe', small.replace('gpu_type', 'gpu_typ'))).toBe(false);
    expect(passes('recipe', small.replace('decode_nodes: 1', 'decode_nodes: many'))).toBe(false);
    expect(passes('recipe', small.replace(/^name: .*\n/m, ''))).toBe(false);
  });

  it('accepts placeholders for numbers beside a sweep, and leaves GPUs per node to the cluster', () => {
    const swept = `sweep: {mode: zip, n: [1, 2]}\n${small}`;
    expect(passes('recipe', swept.replace('decode_nodes: 1', 'decode_nodes: "{n}"'))).toBe(true);
    expect(passes('recipe', swept.replace('n: [1, 2]', 'n: 1'))).toBe(false);
    expect(passes('recipe', swept.replace('mode: zip', 'order: as-written, on_failure: {retry: 2}'))).toBe(
      true,
    );
    expect(passes('recipe', swept.replace('mode: zip', 'order: [1, 2]'))).toBe(true);
    expect(passes('recipe', swept.replace('mode: zip', 'order: backwards'))).toBe(false);
    expect(passes('recipe', small.replace('  gpus_per_node: 8\n', ''))).toBe(true);
  });

  it('accepts any part of a recipe, and null, in an override', () => {
    expect(passes('override', 'resources: {decode_nodes: 2}\nfrontend: null\n')).toBe(true);
    expect(passes('override', 'resources: {decode_node: 2}\n')).toBe(false);
    expect(passes('override', 'resources: {decode_nodes: [2]}\n')).toBe(false);
  });

  it('accepts an engine’s own keys, and in an override those of all engines', () => {
    const trtllm = small.replace(
      /backend:\n(?: .*\n)+/,
      'backend: {type: trtllm, trtllm_config: {decode: {a: 1}}}\n',
    );
    expect(passes('recipe', trtllm)).toBe(true);
    expect(passes('recipe', trtllm.replace('type: trtllm, ', ''))).toBe(false);
    expect(passes('override', 'backend: {trtllm_config: {decode: {a: 1}}}\n')).toBe(true);
    expect(passes('override', 'backend: {prefill_environment: {A: 1}}\n')).toBe(true);
    expect(passes('override', 'backend: {prefill_environmen: {A: 1}}\n')).toBe(false);
  });

  it('accepts lists for values in a zip_override', () => {
    expect(passes('zipOverride', 'resources: {decode_nodes: [2, 3], decode_workers: 1}\n')).toBe(true);
    expect(passes('zipOverride', 'resources: {decode_node: [2, 3]}\n')).toBe(false);
  });

  it('requires base and overrides when there is a base', () => {
    expect(schema).toMatchObject({
      if: { required: ['base'] },
      else: { $ref: '#/$defs/recipe' },
    });
  });
});

describe('the JSON Schema of both layouts', () => {
  const both = recipeFileJsonSchema();
  const isRecipe = (text: string): boolean => {
    const { value } = parseSource('recipe.yaml', text);
    const isSecond = (value as { schema?: unknown }).schema === 2;
    const part = (both.$defs as Record<string, JsonSchema>)[isSecond ? 'recipe2' : 'recipe'];
    return z.fromJSONSchema(part as Parameters<typeof z.fromJSONSchema>[0]).safeParse(value).success;
  };

  it('takes a recipe of each by its `schema`, and no keys of the other', () => {
    expect(both).toMatchObject({ if: { properties: { schema: { const: 2 } } } });
    expect(isRecipe(small)).toBe(true);
    const second = migrate('recipe.yaml', small);
    expect(isRecipe(second)).toBe(true);
    expect(isRecipe(second.replace('workers: 1', 'worker: 1'))).toBe(false);
    expect(isRecipe(`schema: 2\n${small}`)).toBe(false);
  });
});
