import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { Parser } from 'yaml';
import { plannedDifferently } from '../../../src/cli/dry-run/same-plan.ts';
import { migrate } from '../../../src/recipe/migrate/migrate.ts';
import { cluster } from '../write.ts';

const shared = resolve(import.meta.dirname, '../../../../shared');
const present = existsSync(shared) || process.env.CI === 'true';

const below = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => join(directory, name))
    .sort();

/** The comments of a text, in any order. */
function commentsOf(text: string): string[] {
  const found: string[] = [];
  const visit = (part: unknown): void => {
    if (typeof part !== 'object' || part === null) return;
    const { type, source } = part as { type?: unknown; source?: unknown };
    if (type === 'comment') found.push(String(source).trimEnd());
    for (const each of Object.values(part)) visit(each);
  };
  for (const token of new Parser().parse(text)) visit(token);
  return found.sort();
}

describe.skipIf(!present)('every public recipe of the first layout', () => {
  it('has the same plan and the same comments after migration, and stays as it is then', {
    timeout: 600_000,
  }, () => {
    const files = [...below(join(shared, 'recipes')), ...below(join(shared, 'recipes-v2/pairs'))];
    expect(files.length).toBeGreaterThan(550);
    const options = { cluster: cluster(), env: {}, onWarning: () => {} };
    const wrong = files.flatMap((file) => {
      const before = readFileSync(file, 'utf8');
      const after = migrate(file, before);
      const differing = plannedDifferently(file, before, after, options);
      // One of the pairs cannot be planned in either layout.
      const isEqual = differing === 'unknown' ? file.includes('/pairs/') : differing.length === 0;
      const hasComments = commentsOf(after).join('\n') === commentsOf(before).join('\n');
      const stays = migrate(file, after) === after;
      return isEqual && hasComments && stays ? [] : [{ file, differing, hasComments, stays }];
    });
    expect(wrong).toEqual([]);
  });
});
