import { chmodSync, chownSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readTrustedFile } from '../../../src/recipe/source/trusted-file.ts';

const SOMEBODY = 65_534;
let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'srtctl-test-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** A recipe in a temporary directory; `change` changes the owner or the mode of one of them. */
function recipe(change: (file: string, directory: string) => void): string {
  const directory = mkdtempSync(join(dir, 'd-'));
  const file = join(directory, 'recipe.yaml');
  writeFileSync(file, 'name: x\n');
  change(file, directory);
  return file;
}
const read = (file: string, allowed?: string) => {
  const warnings: string[] = [];
  const env = allowed === undefined ? {} : { SRTCTL_SAFE_DIRECTORY: allowed };
  return { text: readTrustedFile(file, { env, onWarning: (line) => warnings.push(line) }), warnings };
};

describe('a recipe', () => {
  it('is read when it belongs to this user and no other user can write it', () => {
    expect(read(recipe(() => {}))).toEqual({ text: 'name: x\n', warnings: [] });
  });

  it('is refused when everyone can write it or its directory', () => {
    const open = recipe((file) => chmodSync(file, 0o666));
    expect(() => read(open)).toThrow(/everyone can write .*recipe\.yaml/);
    const inOpen = recipe((_, directory) => chmodSync(directory, 0o777));
    expect(() => read(inOpen)).toThrow(/everyone can write/);
    expect(read(recipe((_, directory) => chmodSync(directory, 0o1777))).text).toBe('name: x\n');
  });

  it('is read all the same when its directory is named as safe', () => {
    const open = recipe((file) => chmodSync(file, 0o666));
    expect(read(open, '*').text).toBe('name: x\n');
    expect(read(open, `/elsewhere:${dir}`).text).toBe('name: x\n');
    expect(() => read(open, `${dir}x`)).toThrow(/everyone/);
  });

  it.skipIf(process.getuid?.() !== 0)('of another user is refused with the name of the owner', () => {
    expect(() => read(recipe((file) => chownSync(file, SOMEBODY, SOMEBODY)))).toThrow(/belongs to nobody/);
    expect(() => read(recipe((_, directory) => chownSync(directory, SOMEBODY, SOMEBODY)))).toThrow(
      /belongs to nobody/,
    );
  });

  it.skipIf(process.getuid?.() !== 0)('is read with a warning when another group can write it', () => {
    const shared = recipe((file) => {
      chownSync(file, 0, SOMEBODY);
      chmodSync(file, 0o664);
    });
    expect(read(shared).warnings).toEqual([expect.stringMatching(/written by its group/)]);
  });

  it('is an error when it is a directory', () => {
    const directory = recipe((file) => {
      rmSync(file);
      mkdirSync(file);
    });
    expect(() => read(directory)).toThrow(/is a directory/);
  });
});
