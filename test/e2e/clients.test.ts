import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { until } from '../support/bus.ts';
import { useJobs } from '../support/jobs.ts';
import { signal } from '../support/signal.ts';

const jobs = useJobs();

async function recipe(benchmark: object): Promise<string> {
  const file = join(jobs.dir, 'clients.yaml');
  const content = {
    name: 'clients',
    model: { path: 'test-model', container: 'image', precision: 'fp8' },
    resources: { gpu_type: 'h100', gpus_per_node: 4, agg_nodes: 2, agg_workers: 2 },
    frontend: { type: 'sglang', enable_multiple_frontends: false },
    backend: { type: 'sglang', sglang_config: { aggregated: { 'served-model-name': 'test/model' } } },
    benchmark: {
      type: 'sa-bench',
      isl: 32,
      osl: 16,
      num_warmup_mult: 1,
      client_dedicated_node: true,
      ...benchmark,
    },
  };
  await writeFile(file, JSON.stringify(content));
  return file;
}

it('several clients on nodes of their own make one result, and the point fails when one is lost', async () => {
  const job = await jobs.apply(await recipe({ clients: 3, concurrencies: '2x6', num_prompts_mult: 4 }));
  expect(await job.ended(), job.said).toBe(0);
  const [result] = await job.results();
  expect(result?.benchmark).toMatchObject({
    valid: true,
    serving: [
      { concurrency: 2, completed: 8, outputTokens: expect.any(Number), clients: 3 },
      { concurrency: 6, completed: 24, clients: 3 },
    ],
  });

  const long = await jobs.apply(await recipe({ clients: 2, concurrencies: '2', num_prompts_mult: 5_000 }));
  await until('requests', async () => {
    if (long.child.exitCode !== null) throw new Error(long.said);
    const file = join(await long.jobDir(), 'points/00-clients/client-1/progress.json');
    return /"measure"/.test(await readFile(file, 'utf8').catch(() => ''));
  });
  signal(await long.pidOf('benchmark-1'), 'SIGKILL');
  expect(await long.ended(), long.said).toBe(1);
  expect((await long.results())[0]).toMatchObject({ status: 'failed', cause: { process: 'benchmark-1' } });
}, 120_000);
