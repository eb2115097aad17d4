import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { describeReal } from './support/programs.ts';
import { useRealJobs } from './support/real-jobs.ts';
import { tinyModel } from './support/tiny-model.ts';

describeReal('Dynamo', ['dynamo'], () => {
  const jobs = useRealJobs({ python: 'dynamo' });
  let model = '';
  beforeAll(async () => {
    model = await tinyModel(join(jobs.dir, 'model'), 'dynamo');
  }, 60_000);

  const recipe = () => ({
    name: 'dynamo',
    model: { path: model, container: 'none', precision: 'bf16' },
    resources: { gpu_type: 'h100', gpus_per_node: 4, agg_nodes: 1, agg_workers: 2, gpus_per_agg: 2 },
    frontend: { type: 'dynamo', enable_multiple_frontends: false },
    dynamo: { install: false },
    backend: { type: 'mocker', speedup_ratio: 10 },
    health_check: { max_attempts: 12, interval_seconds: 5 },
    benchmark: {
      type: 'sa-bench',
      isl: 128,
      osl: 32,
      concurrencies: '4',
      num_prompts_mult: 6,
      num_warmup_mult: 1,
      random_range_ratio: 1,
    },
  });

  describe('with two mockers', () => {
    it('runs to exact figures', async () => {
      const job = await jobs.apply(recipe());
      expect(await job.ended(), job.said).toBe(0);
      const [result] = await job.results();
      expect(result?.benchmark).toMatchObject({
        valid: true,
        serving: [{ completed: 24, failed: 0, inputTokens: 24 * 128, outputTokens: 24 * 32 }],
      });
      await job.nothingLeft();
    }, 120_000);
  });
});
