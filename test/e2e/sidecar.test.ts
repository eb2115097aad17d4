import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { useJobs } from '../support/jobs.ts';
import { signal } from '../support/signal.ts';
import { expectWhole } from './whole.ts';

const jobs = useJobs({ SRTCTL_SIM_LOAD_MS: '0', SRTCTL_SIM_SPEED: '20' });

async function recipe(engine: string, roles: object, requests = 4): Promise<string> {
  const file = join(jobs.dir, 'beside.yaml');
  const whole = {
    ...{ schema: 2, name: 'beside' },
    model: { path: 'test-model', container: 'test-image', precision: 'bf16' },
    resources: { gpu_type: 'h100', gpus_per_node: 4 },
    frontend: { type: 'dynamo', enable_multiple_frontends: false },
    ...{ engine, roles },
    benchmark: { type: 'sa-bench', isl: 32, osl: 16, concurrencies: '2', num_prompts_mult: requests },
  };
  await writeFile(file, stringify(whole));
  return file;
}
const role = { nodes: 1, workers: 1, sidecar: true };

describe('an engine beside a sidecar of Dynamo', () => {
  it.each([
    ['sglang', { prefill: role, decode: { ...role, nodes: 2, args: { 'tensor-parallel-size': 8 } } }],
    ['vllm', { agg: role }],
    ['trtllm', { agg: role }],
  ])(
    '%s serves through its sidecar',
    async (engine, roles) => {
      const job = await jobs.apply(await recipe(engine, roles));
      expect(await job.ended(), job.said).toBe(0);
      const [result] = await job.results();
      expect(result).toMatchObject({ status: 'done', benchmark: { valid: true } });
      expectWhole(await job.events());
      await job.nothingLeft();
    },
    180_000,
  );

  it('ends with its sidecar, and the failure names which of the two ended', async () => {
    const job = await jobs.apply(await recipe('sglang', { agg: role }, 5_000));
    await job.measuring();
    const shell = await job.pidOf('agg-0-0');
    const children = (await readFile(`/proc/${shell}/task/${shell}/children`, 'utf8')).trim().split(' ');
    expect(children).toHaveLength(2);
    signal(Number(children[1]), 'SIGKILL');
    expect(await job.ended(), job.said).toBe(1);
    const [result] = await job.results();
    expect(result?.cause).toMatchObject({ process: 'agg-0-0', exitCode: 137 });
    expect(JSON.stringify(result?.cause)).toContain('the sidecar of SGLang ended with exit code 137');
    await job.nothingLeft();
  }, 180_000);
});
