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

  it('prints that of one layout, and nothing for another number', async () => {
    const of = async (layout: string) => JSON.parse(await schema('--layout', layout)).$defs.recipe.properties;
    expect(await of('1')).toHaveProperty('backend');
    const second = await of('2');
    expect(second).toHaveProperty('roles');
    expect(second).not.toHaveProperty('backend');
    await expect(schema('--layout', '3')).rejects.toThrow('the layouts of recipes are 1 and 2');
  });

  it('explains its usage when it is called without an option on a terminal', async () => {
    const before = Object.getOwnPropertyDescriptor(process.stdout, 'isTTY');
    Object.defineProperty(process.stdout, 'isTTY', { value: true, configurable: true });
    try {
      expect(await schema()).toContain('# yaml-language-server: $schema=');
    } finally {
      Object.defineProperty(process.stdout, 'isTTY', before ?? { value: undefined, configurable: true });
    }
  });
});
