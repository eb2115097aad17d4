import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { lastWords } from '../../../src/platform/slurm/last-words.ts';

const catalogue = resolve(import.meta.dirname, '../../../src/why/signatures.yaml');
let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const END = `slurmstepd: error: pyxis: couldn't start container
slurmstepd: error: spank: required plugin spank_pyxis.so: task_init() failed with rc=-1
slurmstepd: error: Failed to invoke spank plugin stack
`;
const said = async (text: string): Promise<string> => {
  const file = join(dir, 'node1_agent.out');
  await writeFile(file, text);
  return lastWords(file, catalogue);
};

it.each([
  ['Write failed because No space left on device', /No space left on device/],
  [
    '[ERROR] URL https://registry-1.docker.io/v2/x/manifests/v1 returned error code: 429 Too Many Requests',
    /429/,
  ],
  ['enroot-mount: failed to mount: /data/my at /run/enroot/x: No such file or directory', /enroot-mount/],
])('a step without an image ends with the line that names the reason: %s', async (line, expected) => {
  const log = `slurmstepd: error: pyxis: child 7 failed with error code: 1\nslurmstepd: error: pyxis:     ${line}\n${END}`;
  expect(await said(log)).toMatch(expected);
});

it('a log without an error gives its last lines, and a missing log gives nothing', async () => {
  expect(await said('one\ntwo\nthree\nfour\n')).toBe(' (two / three / four)');
  expect(await lastWords(join(dir, 'none'), catalogue)).toBe('');
});

it('an unreadable catalogue does not prevent the report', async () => {
  await writeFile(join(dir, 'x.out'), 'error: no\n');
  expect(await lastWords(join(dir, 'x.out'), join(dir, 'none.yaml'))).toMatch(/no/);
});
