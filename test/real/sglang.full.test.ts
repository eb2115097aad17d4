import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { signal } from '../support/signal.ts';
import { LONG, type RealRecipe, recipeOf } from './sglang/recipe.ts';
import { describeReal } from './support/programs.ts';
import { useRealJobs } from './support/real-jobs.ts';
import { tinyModel } from './support/tiny-model.ts';

const MINUTES = 60_000;

describeReal('a real SGLang', ['sglang'], () => {
  const jobs = useRealJobs({ python: 'sglang' });
  let model = '';
  beforeAll(async () => {
    model = await tinyModel(join(jobs.dir, 'model'), 'sglang');
  });

  const measuring = async (given: RealRecipe = {}) => {
    const job = await jobs.apply(recipeOf(model, { benchmark: LONG, ...given }));
    await job.measuring(8 * MINUTES);
    return job;
  };

  it.each([
    // It would investigate for 5 and 65 s.
    [/^sglang::scheduler/, /Subprocess scheduler_0 .*crashed with exit code -9/],
    [/^sglang::detokenizer/, /Subprocess detokenizer .*crashed with exit code -9/],
    [/sglang\.launch_server/, /SIGKILL/],
  ])(
    'fails because its %s was killed',
    async (title, cause) => {
      const job = await measuring();
      await job.hurt(title, 'SIGKILL');
      expect(await job.ended(), job.said).toBe(1);
      const [result] = await job.results();
      expect(result?.cause).toMatchObject({ process: 'agg-0-0', node: 'node1' });
      expect(JSON.stringify(result?.cause)).toMatch(cause);
      await job.nothingLeft();
    },
    15 * MINUTES,
  );

  it(
    'with a hung detokenizer fails within hung_after, and the cause names it',
    async () => {
      const job = await measuring({ supervision: { hung_after: 15 } });
      await job.hurt(/^sglang::detokenizer/, 'SIGSTOP');
      expect(await job.ended(), job.said).toBe(1);
      expect((await job.results())[0]?.cause).toMatchObject({ process: 'agg-0-0' });
      await job.nothingLeft();
    },
    15 * MINUTES,
  );

  it(
    'without metrics and with a hung scheduler fails by its health check',
    async () => {
      const job = await measuring({ flags: { 'enable-metrics': false }, supervision: { hung_after: 15 } });
      await job.hurt(/^sglang::scheduler/, 'SIGSTOP');
      expect(await job.ended(), job.said).toBe(1);
      const [result] = await job.results();
      expect(result?.cause?.process).toBe('agg-0-0');
      expect(result?.cause?.summary).toContain('unhealthy for 15 s');
      await job.nothingLeft();
    },
    15 * MINUTES,
  );

  it(
    'that answers while it is being stopped has no error of its own, and leaves nothing',
    async () => {
      const job = await measuring();
      signal(job.child.pid ?? 0, 'SIGINT');
      expect(await job.ended(), job.said).toBe(130);
      expect(await job.statuses()).toEqual(['interrupted']);
      await job.nothingLeft();
    },
    15 * MINUTES,
  );

  it(
    'without a model in its directory fails with the missing file in the cause',
    async () => {
      const empty = join(jobs.dir, 'empty');
      await mkdir(empty);
      const job = await jobs.apply(recipeOf(empty));
      expect(await job.ended(), job.said).not.toBe(0);
      expect(job.said).toContain(empty);
      await job.nothingLeft();
    },
    5 * MINUTES,
  );

  it(
    'serves a second point with its own prompts, on empty caches',
    async () => {
      const job = await jobs.apply(
        recipeOf(model, { benchmark: { osl: '{osl}' }, more: { sweep: { osl: [8, 12] } } }),
      );
      expect(await job.ended(), job.said).toBe(0);
      const results = await job.results();
      expect(results.map(({ status }) => status)).toEqual(['done', 'done']);
      expect(results.flatMap(({ caches }) => caches ?? []).map(({ flushed }) => flushed)).toEqual([
        true,
        true,
      ]);
      const [first, second] = results.map(({ benchmark }) => benchmark?.serving[0]);
      expect(first?.seed).not.toBe(second?.seed);
      // Only the first tokens, from the chat template, are the same in all prompts.
      for (const one of [first, second]) {
        expect(one?.cache).toMatchObject({ promptTokens: one?.inputTokens });
        expect(one?.cache?.share).toBeLessThan(0.2);
      }
      await job.nothingLeft();
    },
    15 * MINUTES,
  );
});
