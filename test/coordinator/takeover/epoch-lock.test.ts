import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { EpochLock } from '../../../src/coordinator/takeover/epoch-lock.ts';

class Fenced extends Error {}
const epochLock = (epoch: number): EpochLock =>
  new EpochLock(home, epoch, (why) => {
    throw new Fenced(why);
  });

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

it('lets only the coordinator in charge act', () => {
  const [first, second] = [epochLock(1), epochLock(2)];
  first.claim();
  first.check();
  second.claim();
  second.check();
  expect(() => epochLock(1).check()).toThrow(Fenced);
});

it('ends a coordinator only for a higher epoch', () => {
  const own = epochLock(2);
  own.heard(1);
  own.heard(2);
  expect(() => own.heard(3)).toThrow(/epoch 3 is in charge/);
});

it('is not triggered by a false claim of an agent', () => {
  const own = epochLock(2);
  own.claim();
  own.agentObeys(Number.MAX_SAFE_INTEGER);
  epochLock(3).claim();
  expect(() => epochLock(2).agentObeys(3)).toThrow(Fenced);
});

it('ends a coordinator whose directory is gone, because another one has ended the job', async () => {
  const own = epochLock(1);
  own.claim();
  await rm(home, { recursive: true });
  own.touch();
  expect(() => own.check()).toThrow(Fenced);
});

it('does not end the coordinator that removes the directory itself', async () => {
  const own = epochLock(1);
  own.claim();
  own.release();
  await rm(home, { recursive: true });
  own.check();
});
