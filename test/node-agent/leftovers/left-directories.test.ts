import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { claimDirectory, clearDirectories } from '../../../src/node-agent/leftovers/left-directories.ts';
import { processIdentity } from '../../../src/node-agent/leftovers/marks.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** The mark of an agent that has ended; another process has its pid. */
const ENDED = processIdentity(process.pid).replace(/\/\d+\//, '/1/');

it('the directory of an agent that was killed with its guard is removed, and its processes are ended', async () => {
  claimDirectory(join(dir, 'srtctl-0-a-node'), 'node1');
  await writeFile(join(dir, 'srtctl-0-a-node/.agent-node1'), ENDED);
  await mkdir(join(dir, 'srtctl-0-a-stop-node1'));
  await writeFile(join(dir, 'srtctl-0-a-stop-node1/1.sh'), `touch ${join(dir, 'ended')}`);
  expect(clearDirectories('src/os/processes/guard.sh', dir)).toEqual([join(dir, 'srtctl-0-a-node')]);
  expect(await readdir(dir)).toEqual(['ended']);
});

it('a directory that another agent removes meanwhile is no error', async () => {
  for (const job of ['a', 'b']) {
    claimDirectory(join(dir, `srtctl-0-${job}-node`), 'node1');
    await writeFile(join(dir, `srtctl-0-${job}-node/.agent-node1`), ENDED);
    await mkdir(join(dir, `srtctl-0-${job}-stop-node1`));
  }
  // The other agent, which removes the second job's directory first.
  const script = `rm -rf ${['node', 'stop-node1'].map((end) => join(dir, `srtctl-0-b-${end}`)).join(' ')}`;
  await writeFile(join(dir, 'srtctl-0-a-stop-node1/1.sh'), script);
  expect(clearDirectories('src/os/processes/guard.sh', dir)).toContain(join(dir, 'srtctl-0-a-node'));
  expect(await readdir(dir)).toEqual([]);
});

it('a directory that an agent still has, or may have, is left alone', async () => {
  for (const name of ['a', 'b', 'c']) claimDirectory(join(dir, `srtctl-0-${name}-node`), 'node1');
  await writeFile(join(dir, 'srtctl-0-a-node/.agent-node1%2fother'), ENDED);
  await writeFile(join(dir, 'srtctl-0-b-node/.agent-node1'), '1/1/in another namespace');
  await rm(join(dir, 'srtctl-0-c-node/.agent-node1'));
  expect(clearDirectories('src/os/processes/guard.sh', dir)).toEqual([]);
  for (const name of ['a', 'b', 'c']) expect(existsSync(join(dir, `srtctl-0-${name}-node`))).toBe(true);
});
