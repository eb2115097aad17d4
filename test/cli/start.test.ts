import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

const dist = resolve(import.meta.dirname, '../../dist');
const copy = mkdtempSync(join(tmpdir(), 'srtctl-start-'));
afterAll(() => rmSync(copy, { recursive: true, force: true }));
cpSync(join(dist, 'srtctl.js'), join(copy, 'srtctl.mjs'));
cpSync(join(dist, 'programs'), join(copy, 'programs'), { recursive: true });

const compiled = join(copy, 'programs/srtctl.cjs.v8');
const version = () =>
  execFileSync(process.execPath, [join(copy, 'srtctl.mjs'), '--version'], { encoding: 'utf8' });

describe('the command line', () => {
  it('starts with the code that was compiled when it was built', () => {
    expect(readFileSync(compiled).length).toBeGreaterThan(100_000);
    expect(version()).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it('starts as well when that is of another Node, damaged or not there', () => {
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
});
