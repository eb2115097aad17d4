import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { configReference } from '../../scripts/config-reference.ts';

describe('docs/reference/config.md', () => {
  const text = configReference();

  it('agrees with the schemas: npm run docs writes it', () => {
    const written = readFileSync(join(import.meta.dirname, '../../docs/reference/config.md'), 'utf8');
    expect(written).toBe(text);
  });

  it('has a description for every key', () => {
    expect(text.split('\n').filter((line) => line.endsWith('|  |'))).toEqual([]);
    expect(text).toMatch(/\| `resources`/);
    expect(text).toMatch(/### backend, type: vllm\n\n.*\n.*\n\| `prefill_environment` \|/);
  });
});
