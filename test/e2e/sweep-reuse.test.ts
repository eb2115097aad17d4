import { readFile, writeFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { useJobs } from '../support/jobs.ts';
import { writeRecipe } from './recipe.ts';

const jobs = useJobs();

/** Decode workers with two settings, in an order in which each point would restart them. */
async function sweptRecipe(frontend: 'sglang' | 'dynamo'): Promise<string> {
  const file = await writeRecipe(jobs.dir, { frontend, requests: 1 });
  const text = (await readFile(file, 'utf8'))
    .replace('isl: 64', 'isl: "{isl}"')
    .replace('    decode:\n', '    decode:\n      max-running-requests: "{most}"\n');
  await writeFile(file, `sweep: {isl: [32, 64], most: [8, 16]}\n${text}`);
  return file;
}

describe('a sweep in one allocation', () => {
  it.each(['sglang', 'dynamo'] as const)(
    'runs in the planned order behind %s, and starts only what a point changes',
    async (frontend) => {
      const job = await jobs.apply(await sweptRecipe(frontend));
      expect(await job.ended(), job.said).toBe(0);
      const events = await job.events();
      const began = events.flatMap((event) =>
        event.kind === 'point.transition' && event.to === 'deploying' ? [event.ordinal] : [],
      );
      expect(began).toEqual([0, 2, 1, 3]);
      const starts = (prefix: string) =>
        events.filter(
          (event) =>
            event.kind === 'process.transition' &&
            event.process.startsWith(prefix) &&
            event.from === 'preparing',
        ).length;
      expect([starts('prefill-0'), starts('decode-0'), starts('decode-1')]).toEqual([1, 2, 2]);
      // A router with a fixed list of workers starts again with them; one that discovers them keeps running,
      // and is probed again.
      expect(starts('frontend-0')).toBe(frontend === 'sglang' ? 2 : 1);
      const ready = events.filter(
        (event) =>
          event.kind === 'process.transition' &&
          event.process === 'frontend-0' &&
          event.from === 'starting' &&
          event.to === 'ready',
      );
      expect(ready).toHaveLength(2);
      expect(await job.statuses()).toEqual(['done', 'done', 'done', 'done']);
    },
    90_000,
  );
});
