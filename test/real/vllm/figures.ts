import { expect } from 'vitest';
import type { RealJob } from '../support/real-jobs.ts';

/** Expects the figures of the recipe: every request answered, every token counted. */
export async function expectFigures(job: RealJob): Promise<void> {
  expect(await job.ended(), job.said).toBe(0);
  const [result] = await job.results();
  expect(result?.benchmark).toMatchObject({
    valid: true,
    serving: [
      { concurrency: 1, completed: 4, failed: 0, inputTokens: 4 * 64, outputTokens: 4 * 16 },
      { concurrency: 4, completed: 16, failed: 0, inputTokens: 16 * 64, outputTokens: 16 * 16 },
    ],
  });
  await job.nothingLeft();
}
