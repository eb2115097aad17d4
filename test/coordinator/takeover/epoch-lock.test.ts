import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Fence } from '../../../src/coordinator/takeover/epoch-lock.ts';

class Fenced extends Error {}
const fence = (epoch: number): Fence =>
  new Fence(home, epoch, (why) => {
    throw new Fenced(why);
  });

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

it('lets the coordinator in charge act, and no other', () => {
  const [first, second] = [fence(1), fence(2)];
  first.raise();
  first.check();
  second.raise();
  second.check();
  expect(() => fence(1).check()).toThrow(Fenced);
});

it('ends a coordinator that hears of a higher epoch, and of no other', () => {
  const own = fence(2);
  own.heard(1);
  own.heard(2);
  expect(() => own.heard(3)).toThrow(/epoch 3 is in charge/);
});

it('is not ended by what an agent claims, unless it is so', () => {
  const own = fence(2);
  own.raise();
  own.told(Number.MAX_SAFE_INTEGER);
  fence(3).raise();
  expect(() => fence(2).told(3)).toThrow(Fenced);
});

it('ends a coordinator whose directory is gone: another one has ended the job', async () => {
  const own = fence(1);
  own.raise();
  await rm(home, { recursive: true });
  own.touch();
  expect(() => own.check()).toThrow(Fenced);
});

it('does not end the one that removes the directory itself', async () => {
  const own = fence(1);
  own.raise();
  own.lower();
  await rm(home, { recursive: true });
  own.check();
});
