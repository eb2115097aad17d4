import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { dynamoRecipe, expectExact } from './support/dynamo-recipe.ts';
import { describeReal } from './support/programs.ts';
import { useRealJobs } from './support/real-jobs.ts';
import { tinyModel } from './support/tiny-model.ts';

describeReal('Dynamo', ['dynamo'], () => {
  const jobs = useRealJobs({ python: 'dynamo' });
  let model = '';
  beforeAll(async () => {
    model = await tinyModel(join(jobs.dir, 'model'), 'dynamo');
  }, 60_000);

  it('gives exact figures with two mockers, without a workaround', async () => {
    const job = await jobs.apply(dynamoRecipe(model));
    expect(await job.ended(), job.said).toBe(0);
    expectExact((await job.results())[0]);
    await job.nothingLeft();
  }, 180_000);

  it('a killed worker is the cause, and its stale registration does not affect the next point', async () => {
    const job = await jobs.apply(
      dynamoRecipe(model, {
        backend: { speedup_ratio: 1 },
        benchmark: { num_prompts_mult: '{requests}' },
        sweep: { requests: [600, 6] },
      }),
    );
    await job.benchmarking();
    await job.hurt(/dynamo\.mocker/, 'SIGKILL');
    expect(await job.ended(), job.said).toBe(3);
    const [first, second] = await job.results();
    expect(first).toMatchObject({ status: 'failed' });
    expect(first?.cause?.summary).toMatch(/agg-\d-0.*SIGKILL/);
    expectExact(second);
    await job.nothingLeft();
  }, 240_000);

  it('a wrong flag is the cause', async () => {
    const job = await jobs.apply(
      dynamoRecipe(model, { backend: { mocker_config: { aggregated: { 'no-such-option': 'x' } } } }),
    );
    expect(await job.ended(), job.said).toBe(1);
    const [result] = await job.results();
    expect(JSON.stringify(result?.cause)).toMatch(/unrecognized arguments.*no-such-option/);
    await job.nothingLeft();
  }, 180_000);
});
