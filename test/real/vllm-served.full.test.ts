import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { describeReal, pythonOf } from './support/programs.ts';
import { type RealJob, useRealJobs } from './support/real-jobs.ts';
import { strangerOn } from './support/stranger.ts';
import { tinyModel } from './support/tiny-model.ts';
import { expectFigures } from './vllm/figures.ts';
import { recipeOf } from './vllm/recipe.ts';

const MINUTES = 60_000;
/** A start takes 30 to 140 s on two cores. */
const START = 8 * MINUTES;

describeReal("a real vLLM behind vLLM's router", ['vllm', 'routers'], () => {
  const jobs = useRealJobs({
    python: 'vllm',
    modules: { 'vllm_router.launch_router': pythonOf('routers') },
  });

  it(
    'gives valid figures with exact counts',
    async () => {
      const model = await tinyModel(join(jobs.dir, 'model'), 'vllm', { vocabulary: 2_000 });
      const frontend = { type: 'vllm-router', enable_multiple_frontends: false };
      const job = await jobs.apply(recipeOf(model, { more: { frontend } }));
      await expectFigures(job);
      const ready = (await job.transitions('frontend-0')).find(({ to }) => to === 'ready');
      expect(ready?.why).toContain('1 of 1 agg workers');
    },
    START,
  );
});

describeReal('a real vLLM 0.31 behind Dynamo', ['dynamo-vllm'], () => {
  const jobs = useRealJobs({ python: 'dynamo-vllm' });

  it(
    'gives valid figures with exact counts',
    async () => {
      const model = await tinyModel(join(jobs.dir, 'model'), 'dynamo-vllm', { vocabulary: 2_000 });
      const frontend = { type: 'dynamo', enable_multiple_frontends: false };
      const job = await jobs.apply(recipeOf(model, { more: { frontend, dynamo: { install: false } } }));
      await expectFigures(job);
    },
    START,
  );
});

describeReal("a foreign server on a real vLLM's port", ['vllm'], () => {
  const jobs = useRealJobs({ python: 'vllm' });
  let model = '';
  beforeAll(async () => {
    model = await tinyModel(join(jobs.dir, 'model'), 'vllm', { vocabulary: 2_000 });
  }, 2 * MINUTES);

  const besideStranger = async (begins?: RegExp): Promise<RealJob> =>
    jobs.apply(recipeOf(model), {
      env: await strangerOn(8_000, jobs.dir, begins),
      args: ['--port', '8000'],
    });

  it(
    'is refused before anything starts',
    async () => {
      const job = await besideStranger();
      expect(await job.ended(), job.said).toBe(1);
      const [result] = await job.results();
      expect(result?.status).toBe('failed');
      expect(result?.cause?.summary).toMatch(/port 8000 .*taken by pid \d+/);
      expect(await job.transitions('benchmark')).toEqual([]);
      await job.nothingLeft();
    },
    START,
  );

  it(
    'that starts while vLLM loads is never measured',
    async () => {
      const job = await besideStranger(/vllm serve/);
      expect(await job.ended(), job.said).toBe(1);
      const [result] = await job.results();
      expect(result?.status).toBe('failed');
      expect(result?.cause).toMatchObject({ process: 'agg-0-0' });
      expect(result?.cause?.summary).toMatch(/port 8000|address already in use/i);
      expect(await job.transitions('benchmark')).toEqual([]);
      await job.nothingLeft();
    },
    START,
  );
});
