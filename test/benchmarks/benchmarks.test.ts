import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BenchmarkContext, BenchmarkProtocol } from '../../src/benchmarks/common/protocol.ts';
import { servingTable } from '../../src/benchmarks/common/table.ts';
import { benchmarkFor } from '../../src/benchmarks/index.ts';
import { loadgenConfigSchema, resultFileOf } from '../../src/benchmarks/loadgen/config.ts';
import { Summary, type SummaryConfig } from '../../src/benchmarks/loadgen/figures/summary.ts';
import { benchmarkResultSchema } from '../../src/messages/job-directory/result.ts';
import { processSpecSchema } from '../../src/messages/spec/process-spec.ts';
import type { EndpointProcess } from '../../src/model/kinds.ts';
import { createRuntimeContext, dryRunInput } from '../../src/plan/runtime-context.ts';
import { recipeSchema } from '../../src/recipe/layouts/recipe-schema.ts';
import { clusterConfigSchema } from '../../src/recipe/schema/cluster.ts';
import type { Recipe } from '../../src/recipe/schema/schema.ts';
import { measured } from '../support/measured.ts';

const nodes = ['n1', 'n2'];

function recipeWith(benchmark: object): Recipe {
  return recipeSchema.parse({
    name: 'test',
    model: { path: '/models/some', container: 'image.sqsh', precision: 'fp8' },
    resources: { gpu_type: 'h100', gpus_per_node: 8, agg_nodes: 2, agg_workers: 2 },
    environment: { FROM_RECIPE: 'yes' },
    benchmark,
  });
}

const leader = (node: string, mode: 'prefill' | 'decode', index: number, rank = 0): EndpointProcess => ({
  mode,
  index,
  node,
  rank,
  gpus: [0],
  ports: {
    http: rank === 0 ? 30_000 + index : 0,
    bootstrap: null,
    kvEvents: null,
    nixl: null,
    system: 1,
    requests: 0,
  },
});

function contextOf(benchmark: object, pointDir = '/job/points/00-all', containers = false): BenchmarkContext {
  const recipe = recipeWith(benchmark);
  const input = { ...dryRunInput(nodes, clusterConfigSchema.parse({})), containers };
  return {
    recipe,
    runtime: createRuntimeContext(input).forRecipe(recipe),
    roles: { head: 'n1', infra: 'n1', bench: 'n2', workers: nodes, pools: {} },
    processes: [
      leader('n1', 'prefill', 0),
      leader('n2', 'decode', 0),
      leader('n1', 'decode', 0, 1),
      leader('n2', 'decode', 1),
    ],
    entry: { node: 'n1', port: 8_000, takesTokenIds: true, model: { name: 'some', isGiven: true } },
    services: [],
    pointDir,
    ordinal: 3,
    rest: [],
  };
}

function benchmark(type: string): BenchmarkProtocol {
  const found = benchmarkFor(type);
  if (!found) throw new Error(`no benchmark ${type}`);
  return found;
}

const saBench = { type: 'sa-bench', isl: 100, osl: 50, concurrencies: '4x8' };

describe('sa-bench', () => {
  it('is a process on the bench node that ends, with its config as a file beside it', () => {
    const { process } = benchmark('sa-bench').plan(contextOf({ ...saBench, env: { A: 'b' } }));
    expect(processSpecSchema.parse(process)).toMatchObject({
      id: 'benchmark',
      node: 'n2',
      argv: [
        'node',
        expect.stringMatching(/dist\/loadgen\.js$/),
        '--config',
        '/job/points/00-all/loadgen.json',
      ],
      env: { A: 'b' },
      logFile: '/job/points/00-all/benchmark.out',
      terminates: true,
      critical: true,
      probe: { kind: 'running' },
    });
    const config = loadgenConfigSchema.parse(JSON.parse(process?.files?.[0]?.content ?? ''));
    expect(config).toMatchObject({
      url: 'http://10.0.0.1:8000',
      endpoint: '/v1/completions',
      concurrencies: [4, 8],
      requestRate: 'inf',
      randomRangeRatio: 0.8,
      promptsMultiplier: 10,
      warmupMultiplier: 2,
      modelPath: '/models/some',
      tokenizer: null,
      useChatTemplate: null,
      takesTokenIds: true,
      dataset: { name: 'random' },
    });
  });

  it('uses rate, multipliers, ratios, tokenizer and chat template of the recipe', () => {
    const fields = { req_rate: '300', num_prompts_mult: 3, num_warmup_mult: 0, random_range_ratio: 1 };
    const prompts = { use_chat_template: true, tokenizer: '/models/other', shared_prefix_ratio: 0.5 };
    const context = contextOf({ ...saBench, ...fields, ...prompts });
    const { process } = benchmark('sa-bench').plan(context);
    expect(JSON.parse(process?.files?.[0]?.content ?? '')).toMatchObject({
      requestRate: 300,
      promptsMultiplier: 3,
      warmupMultiplier: 0,
      randomRangeRatio: 1,
      endpoint: '/v1/completions',
      useChatTemplate: true,
      tokenizer: '/models/other',
      sharedPrefixRatio: 0.5,
    });
  });

  it('ends with the first failure, unless the recipe says no or a worker may be lost', () => {
    const planned = (benchmark_: object, critical: object = {}) => {
      const context = contextOf({ ...saBench, ...benchmark_ });
      const { supervision, ...recipe } = context.recipe;
      const lenient = { ...supervision, critical: { ...supervision.critical, ...critical } };
      const { process } = benchmark('sa-bench').plan({
        ...context,
        recipe: { ...recipe, supervision: lenient },
      });
      return loadgenConfigSchema.parse(JSON.parse(process?.files?.[0]?.content ?? '')).stopWhenInvalid;
    };
    expect(planned({})).toBe(true);
    expect(planned({ stop_when_invalid: false })).toBe(false);
    expect(planned({}, { decode: false })).toBe(false);
    expect(planned({}, { frontend: false })).toBe(false);
    expect(planned({}, { agg: false }), 'there are no aggregated workers').toBe(true);
  });

  it('sends no token ids to a router that refuses them, and asks for the model that is served', () => {
    const context = contextOf(saBench);
    const entry = { ...context.entry, takesTokenIds: false, model: { name: 'org/name', isGiven: true } };
    const { process } = benchmark('sa-bench').plan({ ...context, entry });
    expect(JSON.parse(process?.files?.[0]?.content ?? '')).toMatchObject({
      endpoint: '/v1/completions',
      takesTokenIds: false,
      model: 'org/name',
    });
  });

  it('chats with a router that has no /v1/completions', () => {
    const context = contextOf(saBench);
    const { process } = benchmark('sa-bench').plan({
      ...context,
      entry: { ...context.entry, chatAlone: true },
    });
    expect(JSON.parse(process?.files?.[0]?.content ?? '')).toMatchObject({
      endpoint: '/v1/chat/completions',
    });
  });

  it('sends in the load shape of the recipe', () => {
    const planned = (fields: object) => {
      const { process } = benchmark('sa-bench').plan(contextOf({ ...saBench, ...fields }));
      return loadgenConfigSchema.parse(JSON.parse(process?.files?.[0]?.content ?? ''));
    };
    expect(planned({})).toMatchObject({ arrivals: 'poisson', burstiness: 1, rampUpS: 0, durationS: null });
    expect(planned({ req_rate: 5, burstiness: 0.5, ramp_up: 10, duration: 60 })).toMatchObject({
      ...{ requestRate: 5, arrivals: 'gamma', burstiness: 0.5, rampUpS: 10, durationS: 60 },
    });
    expect(planned({ req_rate: 5, arrivals: 'constant' })).toMatchObject({ arrivals: 'constant' });
  });

  it.each([
    [{ arrivals: 'constant' }, 'arrivals', /needs a req_rate other than inf/],
    [{ burstiness: 2 }, 'burstiness', /needs a req_rate other than inf/],
    [{ req_rate: 5, arrivals: 'constant', burstiness: 2 }, 'burstiness', /and arrivals is constant/],
  ])('cannot run with the load shape %j', (fields, key, text) => {
    const way = { mock: false, containers: false };
    const found = benchmark('sa-bench').cannotRun?.(recipeWith({ ...saBench, ...fields }), way);
    expect(found).toEqual([{ path: ['benchmark', key], text: expect.stringMatching(text) }]);
  });

  it('reads prompts from a file, whose lengths need not be in the recipe', () => {
    const file = {
      type: 'sa-bench',
      concurrencies: 2,
      dataset_name: 'custom',
      dataset_path: '/data/p.jsonl',
    };
    const { process } = benchmark('sa-bench').plan(contextOf(file));
    const config = loadgenConfigSchema.parse(JSON.parse(process?.files?.[0]?.content ?? ''));
    expect(config).toMatchObject({ dataset: { name: 'custom', path: '/data/p.jsonl' }, isl: 0, osl: 0 });
    const way = { mock: false, containers: false };
    expect(benchmark('sa-bench').cannotRun?.(recipeWith(file), way)).toEqual([]);
  });

  it.each([
    [{ dataset_name: 'custom' }, 'dataset_path', /is missing: the file of the custom data set/],
    [{ dataset_path: '/data/p.jsonl' }, 'dataset_name', /is missing: .* custom and sharegpt/],
    [{ dataset_name: 'sonnet' }, 'dataset_name', /is sonnet: srtctl reads random, custom and sharegpt/],
  ])('cannot run with the data set %j', (fields, key, text) => {
    const found = benchmark('sa-bench').cannotRun?.(recipeWith({ ...saBench, ...fields }), {
      mock: false,
      containers: false,
    });
    expect(found).toEqual([{ path: ['benchmark', key], text: expect.stringMatching(text) }]);
  });

  it.each(['isl', 'osl', 'concurrencies'])(
    'can be planned without %s, and then has nothing to run',
    (field) => {
      const { [field as keyof typeof saBench]: _, ...rest } = saBench;
      expect(benchmark('sa-bench').plan(contextOf(rest)).process).toBeNull();
    },
  );
});

describe('a custom benchmark', () => {
  it('runs its command in bash, with the deployment in its environment', () => {
    const { process } = benchmark('custom').plan(
      contextOf({ type: 'custom', command: 'echo $SRT_FRONTEND_URL', env: { A: 'b' } }),
    );
    expect(process?.argv.at(-1)).toBe('echo $SRT_FRONTEND_URL');
    expect(process?.env).toMatchObject({
      SRT_FRONTEND_HOST: '10.0.0.1',
      SRT_FRONTEND_PORT: '8000',
      SRT_FRONTEND_URL: 'http://10.0.0.1:8000',
      SRT_PREFILL_ENDPOINTS: '10.0.0.1:30000',
      SRT_DECODE_ENDPOINTS: '10.0.0.2:30000,10.0.0.2:30001',
      SRT_AGG_ENDPOINTS: '',
      SRT_RESULT_DIR: '/job/points/00-all',
      FROM_RECIPE: 'yes',
      A: 'b',
    });
  });

  it('runs in its own image in a run with containers', () => {
    const fields = { type: 'custom', command: 'true', container_image: 'other.sqsh' };
    expect(benchmark('custom').plan(contextOf(fields, '/p', true)).process?.image).toBe('other.sqsh');
    expect(benchmark('custom').plan(contextOf(fields, '/p', false)).process?.image).toBeNull();
  });

  it('runs with pipefail, because the exit code of a pipe is otherwise that of its last command', () => {
    const { process } = benchmark('custom').plan(contextOf({ type: 'custom', command: 'a | tee b' }));
    expect(process?.argv).toEqual(['bash', '-o', 'pipefail', '-lc', 'a | tee b']);
  });

  it('can be planned without its command, and then has nothing to run', () => {
    expect(benchmark('custom').plan(contextOf({ type: 'custom' })).process).toBeNull();
  });
});

describe('the result of a benchmark', () => {
  let dir: string;
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
  });
  afterEach(() => rm(dir, { recursive: true, force: true }));
  const read = (type: string) => benchmark(type).readResult({ type, process: null, resultDir: dir });
  const write = (name: string, content: unknown) =>
    writeFile(join(dir, name), typeof content === 'string' ? content : JSON.stringify(content));

  it('has files and no figures for a custom command that ended well', async () => {
    await write('result-1.json', '{}');
    expect(await read('custom')).toMatchObject({ valid: null, serving: [], artifacts: ['result-1.json'] });
  });

  it('has no figures when a custom command calls itself valid and gives none', async () => {
    await write('srtctl-result.json', { type: 'custom', valid: true, serving: [], artifacts: ['a.csv'] });
    expect(await read('custom')).toMatchObject({ valid: null, artifacts: ['a.csv'] });
  });

  it('has none either when a job of an earlier version calls it valid', () => {
    const old = { type: 'manual', valid: true, serving: [], artifacts: [] };
    expect(benchmarkResultSchema.parse(old).valid).toBeNull();
    expect(benchmarkResultSchema.parse({ ...old, type: 'sa-bench' }).valid).toBe(true);
    expect(benchmarkResultSchema.parse({ ...old, valid: false }).valid).toBe(false);
  });

  it('is that which a custom command reports, if any', async () => {
    const said = { type: 'custom', valid: false, reason: 'too slow', serving: [], artifacts: [] };
    await write('srtctl-result.json', said);
    expect(await read('custom')).toEqual(said);
  });

  it.each(['{', '{"type":"custom"}'])('is not valid when a custom command reports %s', async (text) => {
    await write('srtctl-result.json', text);
    expect(await read('custom')).toMatchObject({
      valid: false,
      reason: expect.stringMatching(/^srtctl-result\.json is not a result: .+/),
    });
  });

  it('is not valid when a file of figures cannot be read, and names the file', async () => {
    const { process } = benchmark('sa-bench').plan(contextOf(saBench, dir));
    await write('loadgen.json', process?.files?.[0]?.content ?? '');
    await write(resultFileOf(4), '{"concurrency":4}');
    expect(await read('sa-bench')).toMatchObject({
      valid: false,
      reason: expect.stringMatching(/^results_concurrency_4\.json: /),
      artifacts: ['results_concurrency_4.json', 'loadgen.json'],
    });
  });

  it('is empty for manual', async () => {
    expect(benchmark('manual').plan(contextOf({ type: 'manual' })).process).toBeNull();
    expect(await read('manual')).toMatchObject({ valid: null, serving: [] });
  });
});

describe('the table of results', () => {
  const result = (over: Partial<SummaryConfig> = {}) => {
    const summary = new Summary({ isl: 8, osl: 10, requestRate: 'inf', ...over }, 2);
    const one = { startedAt: 0, endedAt: 1_000, ttftMs: 100, gapsMs: [10], inputTokens: 7, error: null };
    summary.add(measured({ ...one, outputTokens: 10 }));
    return summary.result();
  };

  it('has a row for each concurrency', () => {
    const table = servingTable([result(), { ...result(), concurrency: 4 }]);
    const rows = table.split('\n').filter((line) => /^│ +\d/.test(line));
    expect(
      rows.map((row) => row.split('│').map((cell) => cell.trim())).map((cells) => cells.slice(1, 7)),
    ).toEqual([
      ['2', '1', '0', '1.00', '7.00', '10.00'],
      ['4', '1', '0', '1.00', '7.00', '10.00'],
    ]);
    expect(table).not.toContain('GPU');
  });

  it('shows tokens per second and GPU, of all and of each phase, when the numbers of GPUs are known', () => {
    const all = servingTable([result({ gpus: { total: 4, prefill: null, decode: null } })]);
    expect(all).toContain('tok/s/GPU');
    expect(all).toContain(' 2.50 ');
    expect(all).not.toContain('prefill GPU');
    const split = servingTable([result({ gpus: { total: 10, prefill: 2, decode: 8 } })]);
    for (const text of ['in/prefill GPU', 'out/decode GPU', ' 1.00 ', ' 3.50 ', ' 1.25 '])
      expect(split).toContain(text);
  });

  it('shows goodput when the recipe has limits, and marks a 99th percentile of fewer than 100 requests', () => {
    expect(servingTable([result()])).not.toContain('│ goodput');
    expect(servingTable([result()])).not.toContain('asked req/s');
    expect(servingTable([{ ...result(), requestRate: 8 }])).toMatch(/asked req\/s[\s\S]*8\.00/);
    const none = { ...result().ttftMs, count: 0 };
    expect(servingTable([{ ...result(), ttftMs: none }])).toContain('–');
    const table = servingTable([result({ slo: { ttftMs: 99 } })]);
    expect(table).toContain('│ goodput');
    expect(table).toMatch(/ 100\.0\* [\s\S]*\n\*: fewer than 100 values/);
  });

  it('is transposed when it would be wider than the terminal, and is never wider', () => {
    const results = [1, 4, 8, 16, 32, 64, 128, 1_024].map((concurrency) => ({ ...result(), concurrency }));
    for (const columns of [60, 80, 100, 200]) {
      const lines = servingTable(results, columns).split('\n');
      for (const line of lines) expect(line.length).toBeLessThanOrEqual(columns);
      for (const { concurrency } of results) expect(lines.join()).toContain(` ${concurrency} `);
    }
  });
});
