import { expect, it } from 'vitest';
import { OomWatch } from '../../../src/node-agent/watch/oom.ts';

it('reports processes that the kernel ended just now, and not those that it ended before', () => {
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

it('reports nothing when the kernel has no counters', () => {
  const watch = new OomWatch(() => null);
  watch.tick();
  expect(watch.recentKills()).toBe(0);
});
