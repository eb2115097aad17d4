import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { configReference } from '../../scripts/config-reference.ts';
import { type JsonSchema, recipeJsonSchema } from '../../src/recipe/json-schema.ts';

describe('docs/reference/config.md', () => {
  const text = configReference();

  it('agrees with the schemas: npm run docs writes it', () => {
    const written = readFileSync(join(import.meta.dirname, '../../docs/reference/config.md'), 'utf8');
    expect(written).toBe(text);
  });

  it('has a description for every key', () => {
    expect(text.split('\n').filter((line) => line.endsWith('|  |'))).toEqual([]);
  });

  it('has the second layout first, and of the first layout what differs', () => {
    const [second = '', first = ''] = text.split('## Recipe of the first layout');
    expect(second).toMatch(/\| `resources`/);
    expect(second).toMatch(/### engine, type: vllm\n/);
    expect(second).toMatch(/\| `decode\.restart\.policy` \|/);
    expect(second).toMatch(/\| `source\.pypi` \|/);
    expect(second).not.toMatch(/prefill_environment|prefill_nodes/);
    expect(first).toMatch(/### backend, type: vllm \(first layout\)\n\n.*\n.*\n\| `prefill_environment` \|/);
    expect(first).toMatch(/\| `prefill_nodes` \|/);
    expect(first).toMatch(/### infra/);
    expect(first).not.toMatch(/### benchmark|### services|### engine/);
  });
});

describe('docs/how-to/migrating.md', () => {
  const written = readFileSync(join(import.meta.dirname, '../../docs/how-to/migrating.md'), 'utf8');

  /** Keys of a section, of every kind of it. */
  const keysOf = (schema: JsonSchema | undefined): string[] => [
    ...Object.keys((schema?.properties ?? {}) as object),
    ...((schema?.anyOf ?? []) as JsonSchema[]).flatMap(keysOf),
  ];
  const sectionsOf = (layout: 1 | 2) => recipeJsonSchema(layout).properties as Record<string, JsonSchema>;

  it('says what becomes of every key that the second layout has elsewhere', () => {
    const second = sectionsOf(2);
    const moved = Object.entries(sectionsOf(1)).flatMap(([name, section]) => {
      const known = keysOf(second[name === 'backend' ? 'engine' : name]);
      return keysOf(section).filter((key) => !known.includes(key));
    });
    expect(moved.length).toBeGreaterThan(30);
    const asWritten = (key: string): string =>
      key
        .replace(/^(decode|aggregated|agg)_/, 'prefill_')
        .replace(/_(decode|agg)$/, '_prefill')
        .replace(/^(sglang|trtllm|vllm|atom|tilert|tokenspeed|mocker)_config$/, '<engine>_config');
    expect(moved.map(asWritten).filter((key) => !written.includes(key))).toEqual([]);
  });
});
