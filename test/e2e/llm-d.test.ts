import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { useJobs } from '../support/jobs.ts';
import { expectWhole } from './whole.ts';

const jobs = useJobs({ SRTCTL_SIM_LOAD_MS: '0', SRTCTL_SIM_SPEED: '20' });

async function recipe(roles: object): Promise<string> {
  const file = join(jobs.dir, 'llm-d.yaml');
  const whole = {
    ...{ schema: 2, name: 'picked' },
    model: { path: 'test-model', container: 'test-image', precision: 'bf16' },
    resources: { gpu_type: 'h100', gpus_per_node: 4 },
    frontend: { type: 'llm-d', enable_multiple_frontends: false },
    ...{ engine: 'vllm', roles },
    benchmark: { type: 'sa-bench', isl: 32, osl: 8, concurrencies: '2', num_prompts_mult: 4 },
  };
  await writeFile(file, stringify(whole));
  return file;
}

describe('llm-d', () => {
  it.each([
    ['aggregated workers', { agg: { nodes: 1, workers: 2, gpus: 2 } }],
    [
      'prefill and decode workers',
      { prefill: { nodes: 1, workers: 1 }, decode: { nodes: 1, workers: 2, gpus: 2 } },
    ],
  ])(
    'serves %s',
    async (_, roles) => {
      const job = await jobs.apply(await recipe(roles));
      expect(await job.ended(), job.said).toBe(0);
      const [result] = await job.results();
      expect(result).toMatchObject({ status: 'done', benchmark: { valid: true } });
      if ('decode' in roles) {
        const log = join(await job.jobDir(), 'logs', 'llm-d-endpoints.yaml');
        expect((await readFile(log, 'utf8')).match(/llm-d.ai\/role: decode/g)).toHaveLength(2);
        expect(job.said).toContain('service-llm-d-sidecar-1 starting → ready');
      }
      expectWhole(await job.events());
      await job.nothingLeft();
    },
    180_000,
  );
});
