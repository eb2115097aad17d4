import { Command } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { registerSchema } from '../../../src/cli/commands/schema.ts';

async function schema(...args: string[]): Promise<string> {
  let printed = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed += String(text);
    return true;
  });
  const program = new Command('srtctl').exitOverride();
  registerSchema(program);
  await program.parseAsync(['schema', ...args], { from: 'user' });
  return printed;
}

afterEach(() => vi.restoreAllMocks());

describe('srtctl schema', () => {
  it('prints the JSON Schema of a recipe file or of srtslurm.yaml', async () => {
    const recipe = JSON.parse(await schema('--json'));
    expect(recipe.$defs.recipe.properties.model.properties.path.description).toMatch(/hf:/);
    const cluster = JSON.parse(await schema('--json', '--cluster'));
    expect(cluster.properties).toHaveProperty('default_account');
  });

  it('explains its usage when it is called without --json', async () => {
    expect(await schema()).toContain('# yaml-language-server: $schema=');
  });
});
