import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { registerMigrate } from '../../../src/cli/commands/migrate.ts';
import { small, writeFiles } from '../../recipe/write.ts';

async function migrate(...args: string[]): Promise<{ exitCode: unknown; stdout: string; stderr: string }> {
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      said[name] += String(text);
      return true;
    });
  const program = new Command('srtctl').exitOverride();
  registerMigrate(program);
  await program.parseAsync(['migrate', ...args], { from: 'user' });
  const { exitCode } = process;
  process.exitCode = undefined;
  vi.restoreAllMocks();
  return { exitCode, ...said };
}

afterEach(() => vi.restoreAllMocks());

describe('srtctl migrate', () => {
  it('prints a recipe, or writes it to a file', async () => {
    const directory = writeFiles({ 'r.yaml': `# mine\n${small}` });
    const { exitCode, stdout } = await migrate('-f', join(directory, 'r.yaml'));
    expect(exitCode).toBe(0);
    expect(stdout).toMatch(/^# mine\nschema: 2\nname: small\n/);
    await migrate('-f', join(directory, 'r.yaml'), '--output', join(directory, 'new.yaml'));
    expect(readFileSync(join(directory, 'new.yaml'), 'utf8')).toBe(stdout);
    expect(readFileSync(join(directory, 'r.yaml'), 'utf8')).toBe(`# mine\n${small}`);
  });

  it('rewrites a directory in place, and says what became of each file', async () => {
    const wrong = small.replace('type: sglang', 'type: sglang\n  dedicated_node: false');
    const directory = writeFiles({
      'a.yaml': small,
      'below/b.yaml': small,
      'refused.yaml': `${wrong}infra: {etcd_nats_dedicated_node: true}\n`,
      'other.yaml': 'services: {db: {image: x}}\n',
    });
    const first = await migrate('-f', directory, '--in-place');
    expect(first.exitCode).toBe(2);
    expect(first.stdout).toContain('2 migrated, 1 refused, 1 no recipe');
    expect(first.stderr).toMatch(/refused\.yaml:\d+:1: infra: sets a node aside/);
    expect(readFileSync(join(directory, 'below/b.yaml'), 'utf8')).toMatch(/^schema: 2\n/);
    expect(readFileSync(join(directory, 'other.yaml'), 'utf8')).toBe('services: {db: {image: x}}\n');
    const changed = statSync(join(directory, 'a.yaml')).mtimeMs;
    const second = await migrate('-f', directory, '--in-place');
    expect(second.stdout).toContain('0 migrated, 2 already in the second layout, 1 refused, 1 no recipe');
    expect(statSync(join(directory, 'a.yaml')).mtimeMs).toBe(changed);
  });

  it('refuses several files without a place, a variant, and two places', async () => {
    const directory = writeFiles({ 'a.yaml': small, 'b.yaml': small });
    await expect(migrate('-f', directory)).rejects.toThrow('the paths name 2 recipes');
    await expect(migrate('-f', `${directory}/a.yaml:x`)).rejects.toThrow('migrate rewrites whole files');
    await expect(migrate('-f', directory, '--in-place', '--output', 'x')).rejects.toThrow('use only one');
  });
});
