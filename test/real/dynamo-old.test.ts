import { join, resolve } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { AGGREGATED, DISAGGREGATED, dynamoRecipe, expectExact } from './support/dynamo-recipe.ts';
import { describeReal } from './support/programs.ts';
import { useRealJobs } from './support/real-jobs.ts';
import { tinyModel } from './support/tiny-model.ts';

const SHIM = resolve('test/real/support/dynamo_engine.py');

/** The release that most public recipes use. It needs a newer nats-server than Debian 12 has. */
describeReal('Dynamo 0.8.1', ['dynamo-old'], () => {
  const jobs = useRealJobs({ python: 'dynamo-old', modules: { 'dynamo.sglang': SHIM } });
  let model = '';
  beforeAll(async () => {
    model = await tinyModel(join(jobs.dir, 'model'), 'dynamo-old');
  }, 60_000);

  it.each([
    ['two workers', AGGREGATED, ['aggregated']],
    ['prefill and decode workers', DISAGGREGATED, ['prefill', 'decode']],
  ])(
    'with %s runs to exact figures',
    async (_, resources, modes) => {
      // Its mocker looks up the served name on the hub unless it is the model's directory.
      const options = { 'served-model-name': model, 'tensor-parallel-size': 2 };
      const sglang_config = Object.fromEntries(modes.map((mode) => [mode, options]));
      const job = await jobs.apply(
        dynamoRecipe(model, { resources, backend: { type: 'sglang', sglang_config } }),
      );
      expect(await job.ended(), job.said).toBe(0);
      expectExact((await job.results())[0]);
      await job.nothingLeft();
    },
    120_000,
  );
});
