import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

const dist = resolve(import.meta.dirname, '../../dist');
const copy = mkdtempSync(join(tmpdir(), 'srtctl-start-'));
afterAll(() => rmSync(copy, { recursive: true, force: true }));
cpSync(join(dist, 'srtctl.js'), join(copy, 'srtctl.cjs'));
cpSync(join(dist, 'programs'), join(copy, 'programs'), { recursive: true });

const compiled = join(copy, 'programs/srtctl.cjs.v8');
const version = () =>
  execFileSync(process.execPath, [join(copy, 'srtctl.cjs'), '--version'], { encoding: 'utf8' });

describe('the command line', () => {
  it('shows the stack of an error with the lines of the source', () => {
    const args = [join(dist, 'srtctl.js'), '--verbose', 'dry-run', '-f', join(copy, 'not-there.yaml')];
    const { stderr, status } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    expect(status).toBe(2);
    const [, file = '', line] = /\n +at .*?(src\/[^:]+\.ts):(\d+):\d+/.exec(stderr) ?? [];
    const source = readFileSync(resolve(import.meta.dirname, '../..', file), 'utf8').split('\n');
    expect(source[Number(line) - 1]).toContain('Error(');
    expect(stderr).not.toContain('.cjs');
  });

  it('starts with the code that was compiled by the build', () => {
    expect(readFileSync(compiled).length).toBeGreaterThan(100_000);
    expect(version()).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it.each(readdirSync(join(dist, 'programs')).filter((name) => name.endsWith('.cjs')))(
    'reads %s as ASCII, which it is',
    (name) => {
      const text = readFileSync(join(dist, 'programs', name), 'latin1');
      // Tagged templates and patterns keep such characters as they are written.
      expect(/.{0,60}[\u0080-\u00ff]/.exec(text)?.[0]).toBeUndefined();
    },
  );

  it('starts too when the compiled code is from another Node, damaged or missing', () => {
    const whole = readFileSync(compiled);
    const other = Buffer.from(whole);
    other.writeUInt32LE(1, 4);
    for (const damaged of [other, whole.subarray(0, 5000), Buffer.from('nonsense')]) {
      writeFileSync(compiled, damaged);
      expect(version()).toMatch(/^\d+\./);
    }
    rmSync(compiled);
    expect(version()).toMatch(/^\d+\./);
  });

  it('runs from the sources without a build', () => {
    const run = ['scripts/dev.mjs', '--version'];
    const cwd = resolve(import.meta.dirname, '../..');
    expect(execFileSync(process.execPath, run, { cwd, encoding: 'utf8' })).toBe(version());
  });
});
