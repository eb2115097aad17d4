import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';

it('the help of each command has examples', () => {
  const commands = resolve('src/cli/commands');
  const without = readdirSync(commands, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => {
      const text = readFileSync(join(commands, file), 'utf8');
      return [...text.matchAll(/\.command\(\s*'([\w-]+)'\s*\)/g)]
        .map(([, name = '']) => name)
        .filter((name) => !new RegExp(`\\nExamples:\\n {2}srtctl ${name}\\b`).test(text));
    });
  expect(without).toEqual([]);
});
