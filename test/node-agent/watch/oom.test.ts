import { expect, it } from 'vitest';
import { OomWatch } from '../../../src/node-agent/watch/oom.ts';

it('tells of what the kernel ended a moment ago, and not of what it ended before', () => {
  let count = 3;
  const watch = new OomWatch(() => count);
  expect(watch.recentKills()).toBe(0);
  count = 4;
  expect(watch.recentKills()).toBe(1);
  watch.tick();
  expect(watch.recentKills()).toBe(1);
  watch.tick();
  expect(watch.recentKills()).toBe(0);
});

it('tells of nothing where the kernel does not count', () => {
  const watch = new OomWatch(() => null);
  watch.tick();
  expect(watch.recentKills()).toBe(0);
});
