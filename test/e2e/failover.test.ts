import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { stringify } from 'yaml';
import { until } from '../support/bus.ts';
import { useJobs } from '../support/jobs.ts';
import { signal } from '../support/signal.ts';
import { expectWhole } from './whole.ts';

const jobs = useJobs({ SRTCTL_SIM_LOAD_MS: '0', SRTCTL_SIM_SPEED: '20' });

const recipe = {
  schema: 2,
  name: 'failover',
  model: { path: 'test-model', container: 'test-image', precision: 'bf16' },
  resources: { gpu_type: 'b200', gpus_per_node: 4 },
  frontend: { type: 'dynamo', enable_multiple_frontends: false },
  engine: { type: 'vllm', failover: { restart_backoff_seconds: 0.5 } },
  roles: { agg: { nodes: 1, workers: 1, gpus: 1 } },
  experiment: { accept_restarts: true },
  benchmark: { type: 'sa-bench', isl: 32, osl: 16, concurrencies: '2', req_rate: 20, num_prompts_mult: 150 },
};

it('a standby engine serves when the serving engine is killed, which starts again and stands by', async () => {
  const file = join(jobs.dir, 'failover.yaml');
  await writeFile(file, stringify(recipe));
  const job = await jobs.apply(file);
  await job.measuring();
  const logs = join(await job.jobDir(), 'logs');
  const hasLock = async (engine: string) =>
    (await readFile(join(logs, `node1_agg_w0${engine}.out`), 'utf8')).includes('Lock acquired');
  const first = await hasLock('');
  expect(await hasLock('_e1')).toBe(!first);
  const serving = first ? 'agg-0-0' : 'agg-0-e1-0';
  signal(await job.pidOf(serving), 'SIGKILL');
  await until('the other engine serves', () => hasLock(first ? '_e1' : ''));
  expect(await job.ended(), job.said).toBe(0);
  const [result] = await job.results();
  expect(result).toMatchObject({
    status: 'done',
    worker_restarts: [{ process: serving, signal: 'SIGKILL', restart: 1, backAfterMs: expect.any(Number) }],
  });
  expectWhole(await job.events());
  await job.nothingLeft();
}, 180_000);
