import { existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeOutputsDirectory } from '../../../src/cli/submit/outputs-directory.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'srtctl-test-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

describe('the directory of outputs', () => {
  it('is created with its parents, and no test file stays in it', () => {
    makeOutputsDirectory(join(dir, 'a/b/c'));
    expect(readdirSync(join(dir, 'a/b/c'))).toEqual([]);
    makeOutputsDirectory(join(dir, 'a/b/c'));
  });

  it.each([
    ['a file', 'file', /is a file, or a link to nothing/],
    ['below a file', 'file/x', /part of the path is a file/],
    ['a link to nothing', 'dangling', /a link to nothing/],
    ['a link in a circle', 'circle/x', /circle/],
    ['a name that is too long', 'x'.repeat(300), /too long/],
  ])('that is %s is refused in one line', (_, name, message) => {
    if (!existsSync(join(dir, 'file'))) {
      writeFileSync(join(dir, 'file'), '');
      symlinkSync('/nowhere/x', join(dir, 'dangling'));
      symlinkSync('circle', join(dir, 'circle'));
    }
    expect(() => makeOutputsDirectory(join(dir, name))).toThrow(message);
  });

  it('is refused at once where the kernel makes no directory', () => {
    expect(() => makeOutputsDirectory('/proc/x')).toThrow(/cannot write outputs to \/proc\/x/);
  });
});
