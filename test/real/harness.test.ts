import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { debianLibraries, describeReal, programOf } from './support/programs.ts';
import { useRealJobs } from './support/real-jobs.ts';
import { tinyModel } from './support/tiny-model.ts';

const recipe = {
  name: 'real-router',
  model: { path: '/model', container: 'none', precision: 'fp8' },
  resources: { gpu_type: 'h100', gpus_per_node: 8, agg_nodes: 1, agg_workers: 2, gpus_per_agg: 4 },
  frontend: { type: 'sglang', enable_multiple_frontends: false, args: { policy: 'round_robin' } },
  backend: {
    type: 'sglang',
    sglang_config: {
      aggregated: { 'served-model-name': 'm', 'tensor-parallel-size': 4, 'context-length': 8192 },
    },
  },
  benchmark: {
    type: 'sa-bench',
    isl: 64,
    osl: 16,
    concurrencies: '2',
    num_prompts_mult: 4,
    num_warmup_mult: 1,
    use_chat_template: true,
  },
};

describeReal('a run of a real program', ['routers'], () => {
  const jobs = useRealJobs({ python: 'routers', modules: { 'sglang.launch_server': 'simulator' } });

  it('has its own network and shared memory, and sees processes whatever their titles', async () => {
    const job = await jobs.apply({ ...recipe, model: { ...recipe.model, path: jobs.dir } });
    const router = await job.processOf(/sglang_router|sglang-router|sglang::router/);
    expect(router.pid).toBeGreaterThan(0);
    expect(await job.ended(), job.said).toBe(0);
    expect(await job.statuses()).toEqual(['done']);
    await job.nothingLeft();
  }, 120_000);
});

describeReal('what real programs need', ['dynamo', 'debian'], () => {
  const jobs = useRealJobs({ python: 'dynamo' });

  it('are a tiny model with a tokenizer', async () => {
    const model = await tinyModel(join(jobs.dir, 'model'), 'dynamo', { vocabulary: 2_000, sparse: true });
    expect(readdirSync(model)).toEqual(expect.arrayContaining(['config.json', 'tokenizer.json']));
  });

  it('are nginx and the libraries of Debian', () => {
    execFileSync(programOf('debian', 'nginx'), ['-v'], { stdio: 'ignore' });
    expect(readdirSync(debianLibraries)).toContain('libibverbs.so.1');
  });
});
