import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { LONG, recipeOf } from './sglang/recipe.ts';
import { describeReal } from './support/programs.ts';
import { useRealJobs } from './support/real-jobs.ts';
import { tinyModel } from './support/tiny-model.ts';

const MINUTES = 60_000;

describeReal('a real SGLang behind its real router', ['sglang'], () => {
  const jobs = useRealJobs({ python: 'sglang' });
  let model = '';
  beforeAll(async () => {
    model = await tinyModel(join(jobs.dir, 'model'), 'sglang');
  });

  it(
    'gives valid figures with exact counts; then its scheduler hangs, which the cause of the next point names',
    async () => {
      // One start of the engine for both, because a start takes up to a minute of CPU time.
      const job = await jobs.apply(
        recipeOf(model, {
          benchmark: { num_prompts_mult: '{times}' },
          supervision: { hung_after: 15 },
          more: { sweep: { times: [4, LONG.num_prompts_mult] } },
        }),
      );
      await job.measuring(12 * MINUTES, 1);
      await job.hurt(/^sglang::scheduler/, 'SIGSTOP');
      // Some points have results, and not all.
      expect(await job.ended(), job.said).toBe(3);
      const [good, hung] = await job.results();
      expect(good).toMatchObject({ status: 'done', caches: [{ process: 'agg-0-0', flushed: true }] });
      const [figures] = good?.benchmark?.serving ?? [];
      expect(figures).toMatchObject({ requests: 16, completed: 16, failed: 0, outputTokens: 16 * 16 });
      // SGLang counts what was asked, chat template included.
      expect(figures).toMatchObject({
        inputTokens: 16 * 64,
        workload: { prompts: 'text', chatTemplate: 'client', tokenizer: expect.any(String) },
      });
      expect(hung?.cause).toMatchObject({ process: 'agg-0-0', node: 'node1' });
      expect(hung?.cause?.summary).toMatch(
        /hung: 4 requests running and no new token|unhealthy for 15 s|\/health does not answer/,
      );
      await job.nothingLeft();
    },
    20 * MINUTES,
  );

  it(
    'that does not know an option fails before it starts, with the option and its place in the cause',
    async () => {
      const job = await jobs.apply(recipeOf(model, { flags: { 'max-total-tokenz': 4_096 } }));
      expect(await job.ended(), job.said).toBe(1);
      const [result] = await job.results();
      expect(result?.cause).toMatchObject({ process: 'check-options-0', exitCode: 1 });
      expect(result?.cause?.error).toMatch(
        /recipe\.yaml:\d+: backend\.sglang_config\.aggregated\.max-total-tokenz: .*--max-total-tokenz 4096/,
      );
      expect(job.said).not.toContain('agg-0-0');
      await job.nothingLeft();
    },
    5 * MINUTES,
  );
});
