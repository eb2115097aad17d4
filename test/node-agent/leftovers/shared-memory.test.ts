import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  linkSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { removeSegments, segments } from '../../../src/node-agent/leftovers/shared-memory.ts';
import { until } from '../../support/bus.ts';

let dir: string;
const children: ChildProcess[] = [];
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await rm(dir, { recursive: true, force: true });
});

const name = (): string => `psm_${randomBytes(4).toString('hex')}`;

/** A process that holds a segment open, as engines do, and leaves it when it is killed. */
async function engine(segment: string): Promise<ChildProcess> {
  const path = join(dir, segment);
  writeFileSync(path, 'x');
  const fd = openSync(path, 'r+');
  const child = spawn('sleep', ['600'], { stdio: ['ignore', 'ignore', 'ignore', fd] });
  children.push(child);
  (await import('node:fs')).closeSync(fd);
  return child;
}

it('the segments of a killed engine are removed, and nothing else', async () => {
  const [earlier, own, others] = [name(), name(), name()];
  writeFileSync(join(dir, earlier), '');
  writeFileSync(join(dir, 'model.safetensors'), '');
  const before = segments(dir);
  const killed = await engine(own);
  await engine(others);
  writeFileSync(join(dir, 'my-model'), '');
  expect(removeSegments(before, dir)).toEqual([]);
  const ended = new Promise((resolve) => killed.once('exit', resolve));
  killed.kill('SIGKILL');
  await ended;
  await until('the removal', () => removeSegments(before, dir).includes(own));
  expect(existsSync(join(dir, own))).toBe(false);
  for (const stays of [earlier, others, 'model.safetensors', 'my-model'])
    expect(existsSync(join(dir, stays)), stays).toBe(true);
});

it('a segment that a living process uses under an earlier name stays, as with semaphores of glibc', async () => {
  const [first, open, mapped] = [join(dir, 'first'), name(), name()];
  const before = segments(dir);
  const opened = await engine('second');
  renameByLink(join(dir, 'second'), join(dir, open));
  copyFileSync('/bin/sleep', first);
  const runs = spawn(first, ['600'], { stdio: 'ignore' });
  children.push(runs);
  await until('its map', () => readFileSync(`/proc/${runs.pid}/maps`, 'latin1').includes(first));
  renameByLink(first, join(dir, mapped));
  expect(removeSegments(before, dir)).toEqual([]);
  const ended = Promise.all([opened, runs].map((child) => once(child, 'exit')));
  for (const child of [opened, runs]) child.kill('SIGKILL');
  await ended;
  expect(removeSegments(before, dir).sort()).toEqual([open, mapped].sort());
});

function renameByLink(from: string, to: string): void {
  linkSync(from, to);
  unlinkSync(from);
}
