import { existsSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { planAllocation } from '../../../src/cli/dry-run/plan.ts';
import { loadRecipeFile } from '../../../src/recipe/load.ts';
import { cluster } from '../write.ts';

/** Public recipes of the second layout, which are kept beside this repository and not in it. */
const shared = resolve(import.meta.dirname, '../../../../shared/recipes-v2');
const isThere = existsSync(shared) || process.env.CI === 'true';

/** One of them has a key twice, as PyYAML takes it. */
const env = { SRTCTL_ALLOW_DUPLICATE_KEYS: '1' };

describe.skipIf(!isThere)('public recipes of the second layout', () => {
  const files = isThere
    ? readdirSync(shared, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.yaml'))
    : [];

  it('are 69', () => {
    expect(files).toHaveLength(69);
  });

  it.each(files.sort())('%s is read and planned', (file) => {
    const results = loadRecipeFile({ file: join(shared, file) }, { cluster: cluster(), env });
    expect(results.length).toBeGreaterThan(0);
    for (const result of results) {
      if ('error' in result) throw result.error;
      const planned = planAllocation(result.loaded, cluster());
      expect('error' in planned ? planned : planned.points.length > 0).toBe(true);
    }
  });
});
