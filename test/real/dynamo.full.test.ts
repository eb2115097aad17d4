import { dirname, join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { AGGREGATED, DISAGGREGATED, dynamoRecipe, expectExact } from './support/dynamo-recipe.ts';
import { describeReal, programOf } from './support/programs.ts';
import type { RealWays } from './support/real-jobs.ts';
import { useRealJobs } from './support/real-jobs.ts';
import { tinyModel } from './support/tiny-model.ts';

const SHIM = resolve('test/real/support/dynamo_engine.py');

describeReal('all runs of Dynamo', ['dynamo', 'debian'], () => {
  const jobs = useRealJobs({
    python: 'dynamo',
    modules: { 'dynamo.sglang': SHIM, 'dynamo.vllm': SHIM, 'dynamo.trtllm': SHIM },
  });
  let model = '';
  beforeAll(async () => {
    model = await tinyModel(join(jobs.dir, 'model'), 'dynamo');
  }, 60_000);

  async function runs(
    change: Parameters<typeof dynamoRecipe>[1],
    { prompts, ...ways }: Partial<RealWays> & { prompts?: 'words' } = {},
  ) {
    const job = await jobs.apply(dynamoRecipe(model, change), ways);
    expect(await job.ended(), job.said).toBe(0);
    const results = await job.results();
    for (const result of results) expectExact(result, prompts);
    await job.nothingLeft();
    return { job, results };
  }

  const kv = { args: { 'router-mode': 'kv' } };
  const tp2 = { 'served-model-name': 'tiny', 'tensor-parallel-size': 2 };

  describe('give exact figures', () => {
    it.each([
      ['prefill and decode workers', { resources: DISAGGREGATED }],
      ['a KV-aware router', { frontend: kv }],
      ['prefill and decode workers behind a KV-aware router', { resources: DISAGGREGATED, frontend: kv }],
      ['requests over NATS', { dynamo: { request_plane: 'nats' } }],
      [
        'prefill and decode workers, with requests over NATS',
        { resources: DISAGGREGATED, dynamo: { request_plane: 'nats' } },
      ],
      ['data-parallel ranks', { backend: { speedup_ratio: 10, data_parallel_size: 4 }, frontend: kv }],
      ['several workers in a process', { backend: { speedup_ratio: 10, num_workers: 2 } }],
      [
        'several prefill workers in a process',
        { resources: DISAGGREGATED, backend: { speedup_ratio: 10, num_workers: 2 } },
      ],
      [
        'the command lines of SGLang',
        {
          resources: DISAGGREGATED,
          backend: { type: 'sglang', sglang_config: { prefill: tp2, decode: tp2 } },
        },
      ],
      [
        'the command lines of SGLang, with KV events',
        {
          resources: DISAGGREGATED,
          frontend: kv,
          backend: { type: 'sglang', kv_events_config: true, sglang_config: { prefill: tp2, decode: tp2 } },
        },
      ],
      [
        'the command lines of vLLM',
        { resources: DISAGGREGATED, backend: { type: 'vllm', vllm_config: { prefill: tp2, decode: tp2 } } },
      ],
    ])('%s', async (_, change) => void (await runs(change)), 180_000);

    it('chat, with a keep-alive each millisecond', async () => {
      await runs(
        {
          frontend: { env: { DYN_HTTP_SSE_KEEP_ALIVE_INTERVAL_MS: '1' } },
          benchmark: { use_chat_template: true, tokenizer: 'none' },
        },
        { prompts: 'words' },
      );
    }, 180_000);

    it('a tokenizer that takes seconds to load: the model is listed before the benchmark starts', async () => {
      const large = await tinyModel(join(jobs.dir, 'large'), 'dynamo', { vocabulary: 151_000, merges: true });
      const job = await jobs.apply(dynamoRecipe(large));
      expect(await job.ended(), job.said).toBe(0);
      expectExact((await job.results())[0]);
      await job.nothingLeft();
    }, 240_000);

    it('two points, the second with other workers', async () => {
      const { results } = await runs({
        backend: { speedup_ratio: '{speed}' },
        sweep: { speed: [10, 5] },
      });
      expect(results).toHaveLength(2);
    }, 240_000);

    it.each([
      ['2.15', {}],
      ['2.15 with TLS', { bus: { tls: true } }],
    ])(
      'nats-server %s',
      async (_, change) => {
        const { job } = await runs(
          { ...change, dynamo: { request_plane: 'nats' } },
          {
            env: { SRTCTL_NATS_SERVER: programOf('dynamo', 'nats-server') },
          },
        );
        expect(job.said).not.toMatch(/defect/);
      },
      180_000,
    );

    it('two frontends behind nginx, and workers on four nodes of one machine', async () => {
      const { job } = await runs(
        {
          resources: {
            ...{ gpu_type: 'h100', gpus_per_node: 4, prefill_nodes: 2, decode_nodes: 2 },
            ...{ prefill_workers: 2, decode_workers: 2, gpus_per_prefill: 4, gpus_per_decode: 4 },
          },
          frontend: { enable_multiple_frontends: true, num_additional_frontends: 1 },
        },
        { path: [dirname(programOf('debian', 'nginx'))] },
      );
      const ready = (await job.transitions('nginx')).find(({ to }) => to === 'ready');
      expect(ready?.why).toMatch(/model, completion/);
    }, 240_000);

    it('a component of an older release', async () => {
      await runs(
        { resources: AGGREGATED, backend: { type: 'vllm', vllm_config: { aggregated: tp2 } } },
        { env: { DYNAMO_COMPONENT: 'tensorrt_llm' } },
      );
    }, 180_000);
  });
});
