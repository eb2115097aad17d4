import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { signal } from '../support/signal.ts';
import { describeReal } from './support/programs.ts';
import { useRealJobs } from './support/real-jobs.ts';
import { tinyModel } from './support/tiny-model.ts';
import { expectFigures } from './vllm/figures.ts';
import { LONG, recipeOf, type VllmRecipe } from './vllm/recipe.ts';

const MINUTES = 60_000;
/** A start takes 30 to 140 s on two cores. */
const START = 8 * MINUTES;

describeReal('a real vLLM', ['vllm'], () => {
  const jobs = useRealJobs({ python: 'vllm' });
  let model = '';
  beforeAll(async () => {
    model = await tinyModel(join(jobs.dir, 'model'), 'vllm', { vocabulary: 2_000 });
  }, 2 * MINUTES);

  const measuring = async (given: VllmRecipe = {}) => {
    const job = await jobs.apply(recipeOf(model, { benchmark: LONG, ...given }));
    await job.measuring(START);
    return job;
  };

  it(
    'gives valid figures with exact counts, also for tokens that decode to nothing, and leaves nothing',
    async () => {
      const sparse = await tinyModel(join(jobs.dir, 'sparse'), 'vllm', { vocabulary: 2_000, sparse: true });
      for (const path of [model, sparse]) {
        const job = await jobs.apply(recipeOf(path));
        await expectFigures(job);
      }
    },
    2 * START,
  );

  it(
    'that does not know an option fails before it starts, with the option and its place in the cause',
    async () => {
      const job = await jobs.apply(recipeOf(model, { flags: { 'disable-log-requests': true } }));
      expect(await job.ended(), job.said).toBe(1);
      const [result] = await job.results();
      expect(result?.cause).toMatchObject({ process: 'check-options-0', exitCode: 1 });
      expect(result?.cause?.error).toMatch(
        /recipe\.yaml:\d+: backend\.vllm_config\.aggregated\.disable-log-requests: .*--disable-log-requests/,
      );
      await job.nothingLeft();
    },
    START,
  );

  it(
    'serves a second point on an empty cache, with its own prompts',
    async () => {
      const job = await jobs.apply(
        recipeOf(model, {
          environment: { VLLM_SERVER_DEV_MODE: '1' },
          benchmark: { osl: '{osl}', concurrencies: '2' },
          more: { sweep: { osl: [8, 12] } },
        }),
      );
      expect(await job.ended(), job.said).toBe(0);
      const results = await job.results();
      expect(results.map(({ status }) => status)).toEqual(['done', 'done']);
      const [first, second] = results.map(({ benchmark }) => benchmark?.serving[0]);
      expect(first?.seed).not.toBe(second?.seed);
      // One process for both points, because the model is loaded once.
      expect(new Set(await job.pidsOf('agg-0-0')).size).toBe(1);
      await job.nothingLeft();
    },
    START,
  );

  it.each([/EngineCore/, /vllm serve/])(
    'fails because its %s was killed',
    async (title) => {
      const job = await measuring();
      await job.hurt(title, 'SIGKILL');
      expect(await job.ended(), job.said).toBe(1);
      expect((await job.results())[0]?.cause).toMatchObject({ process: 'agg-0-0', node: 'node1' });
      await job.nothingLeft();
    },
    START,
  );

  it(
    'with a hung engine core fails within hung_after, and the cause names it',
    async () => {
      // Answers of many lengths: with a single length the engine is idle between them, and logs that when it
      // is stopped.
      const uneven = { ...LONG, concurrencies: '8', osl: 400, random_range_ratio: 0.2 };
      const job = await measuring({ benchmark: uneven, supervision: { hung_after: 20 } });
      await job.hurt(/EngineCore/, 'SIGSTOP');
      expect(await job.ended(), job.said).toBe(1);
      // vLLM's gauges may say that no request runs: with a tiny model they are 0 most of the time. Then the engine
      // does not count as busy; the benchmark notices the hang a little later, and the only worker is what it waits for.
      expect((await job.results())[0]?.cause).toMatchObject({ process: 'agg-0-0' });
      await job.nothingLeft();
    },
    START,
  );

  it(
    'that answers while it is being stopped leaves nothing, and has no error of its own',
    async () => {
      const job = await measuring();
      signal(job.child.pid, 'SIGINT');
      expect(await job.ended(), job.said).toBe(130);
      expect(await job.statuses()).toEqual(['interrupted']);
      await job.nothingLeft();
    },
    START,
  );

  it(
    'with a wrong option fails because of it',
    async () => {
      const job = await jobs.apply(recipeOf(model, { flags: { 'max-model-length': 4 } }));
      expect(await job.ended(), job.said).toBe(1);
      const [result] = await job.results();
      expect(JSON.stringify(result?.cause)).toContain('unrecognized arguments: --max-model-length');
      await job.nothingLeft();
    },
    START,
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
    START,
  );
});
