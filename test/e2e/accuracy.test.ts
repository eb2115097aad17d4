import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { stringify } from 'yaml';
import { useJobs } from '../support/jobs.ts';

const jobs = useJobs({ SRTCTL_SIM_LOAD_MS: '0', SRTCTL_SIM_SPEED: '50' });

it('an evaluation follows a benchmark on the same engines, and a score that is too low fails the point', async () => {
  const recipe = {
    name: 'both',
    model: { path: '/model', container: 'image', precision: 'fp8' },
    resources: { gpu_type: 'h100', gpus_per_node: 1, agg_nodes: 1, agg_workers: 1 },
    frontend: { type: 'sglang', enable_multiple_frontends: false },
    backend: { type: 'sglang', sglang_config: { aggregated: { 'served-model-name': 'm' } } },
    benchmark: {
      ...{ type: 'sa-bench', isl: 16, osl: 4, concurrencies: [2] },
      ...{ num_prompts_mult: 2, num_warmup_mult: 1 },
    },
    post_eval: { type: 'gsm8k', num_examples: 20, num_threads: 4, accuracy: { min: '{least}' } },
    sweep: { least: [0.5, 0.99] },
  };
  const file = join(jobs.dir, 'both.yaml');
  await writeFile(file, stringify(recipe));
  const job = await jobs.apply(file);
  expect(await job.ended(), job.said).toBe(3);
  const [good, bad] = await job.results();
  expect(good).toMatchObject({
    status: 'done',
    benchmark: {
      valid: true,
      serving: [{ completed: 4, failed: 0 }],
      accuracy: [{ task: 'gsm8k', score: 0.95, samples: 20, errors: 0 }],
    },
  });
  expect(bad?.status).toBe('failed');
  expect(bad?.benchmark?.serving).toHaveLength(1);
  expect(bad?.cause?.summary).toBe('gsm8k: the score 0.9500 is below accuracy.min (0.99)');
  expect(job.said).toContain('point 0 both_least0.5 result: done, gsm8k 0.9500');
  const lines = await readFile(join(await job.jobDir(), 'results.jsonl'), 'utf8');
  expect(JSON.parse(lines.split('\n')[0] ?? '')).toMatchObject({
    ...{ concurrency: 2, valid: true, accuracy: { gsm8k: { score: 0.95 } } },
  });
  await job.nothingLeft();
}, 120_000);
