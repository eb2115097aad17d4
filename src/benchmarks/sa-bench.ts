import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type BenchmarkResult,
  type ServingResult,
  servingResultSchema,
} from '../messages/job-directory/result.ts';
import { VAIN, YET } from '../model/checks.ts';
import type { CacheFigures, PlannedBenchmark } from '../model/kinds.ts';
import type { Recipe } from '../recipe/schema/schema.ts';
import { parseJson } from './common/parse-json.ts';
import { benchmarkProcess } from './common/process.ts';
import type { BenchmarkContext, BenchmarkProtocol } from './common/protocol.ts';
import { type LoadgenConfig, loadgenConfigSchema, resultFileOf } from './loadgen/config.ts';
import { whyNotValid } from './loadgen/judge.ts';

/** sa-bench's own defaults. */
const DEFAULTS = { randomRangeRatio: 0.8, promptsMultiplier: 10, warmupMultiplier: 2 } as const;
const CONFIG_FILE = 'loadgen.json';
/** A request of 32k tokens on a loaded system takes minutes, not hours. */
const REQUEST_TIMEOUT_MS = 1_800_000;

/** Messages for keys that srtctl's own load generator does not support. */
const UNUSED: BenchmarkProtocol['unused'] = {
  custom_tokenizer: `${VAIN}prompts are token ids or plain words, and no tokenizer is used`,
  dataset_name: `${YET}prompts are random`,
  dataset_path: `${YET}prompts are random, and the file is not read`,
  slow_down_sleep_time: `${YET}decode workers are not slowed down`,
  slow_down_wait_time: `${YET}decode workers are not slowed down`,
  reuse_http_connections: `${VAIN}connections are kept open from request to request`,
};

/**
 * null when the recipe does not say what to measure: it can be planned, and requireRunnable reports the
 * missing part.
 */
function loadgenConfig({
  recipe,
  runtime,
  entry,
  pointDir,
  ordinal,
  processes,
  rest: workers,
}: BenchmarkContext): LoadgenConfig | null {
  const { isl, osl, concurrencies, req_rate, use_chat_template, seed, ...rest } = recipe.benchmark;
  if (isl == null || osl == null || concurrencies.length === 0) return null;
  return {
    v: 1,
    url: `http://${runtime.address(entry.node)}:${entry.port}`,
    endpoint: use_chat_template ? '/v1/chat/completions' : '/v1/completions',
    model: entry.model.name,
    mustList: entry.model.isGiven,
    modelPath: runtime.realEngines ? runtime.modelPathInside : null,
    isl,
    osl,
    randomRangeRatio: rest.random_range_ratio ?? DEFAULTS.randomRangeRatio,
    concurrencies,
    requestRate: req_rate,
    promptsMultiplier: rest.num_prompts_mult ?? DEFAULTS.promptsMultiplier,
    warmupMultiplier: rest.num_warmup_mult ?? DEFAULTS.warmupMultiplier,
    prompts: use_chat_template || !entry.takesTokenIds ? 'words' : 'tokens',
    // Points share engines, and would find prompts of an earlier point in their caches.
    seed: seed ?? ordinal,
    isSeedFixed: seed != null,
    caches: workers.flatMap(({ process, cacheFigures }) =>
      cacheFigures ? [{ process, ...figuresOf(cacheFigures) }] : [],
    ),
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    stopWhenInvalid: rest.stop_when_invalid && !mayLose(recipe, processes),
    resultDir: pointDir,
    progressFile: `${pointDir}/progress.json`,
  };
}

/** Whether a result with failed requests may be valid, because the run can do without a worker. */
const mayLose = ({ supervision: { critical } }: Recipe, processes: BenchmarkContext['processes']): boolean =>
  !critical.frontend || processes.some(({ mode }) => !critical[mode]);

const figuresOf = ({ hits, prompts, ...place }: CacheFigures) => ({
  ...place,
  hits: [...hits],
  prompts: [...prompts],
});

/** The engines' hub cache, which has the model's vocabulary. */
function hubHome({ recipe, runtime }: BenchmarkContext): Record<string, string> {
  const home = recipe.environment.HF_HOME ?? runtime.hfHome;
  return home != null && recipe.model.path.startsWith('hf:') ? { HF_HOME: home } : {};
}

/** Random prompts at a list of concurrencies, by srtctl's own load generator. */
export const saBench: BenchmarkProtocol = {
  type: 'sa-bench',
  uses: [
    ...(['isl', 'osl', 'concurrencies', 'req_rate', 'random_range_ratio', 'seed'] as const),
    ...(['num_prompts_mult', 'num_warmup_mult', 'use_chat_template', 'stop_when_invalid'] as const),
  ],
  unused: UNUSED,
  leavesFigures: true,
  judged: (argv, { lossy }) => [...argv, '--judge', ...(lossy ? ['--lossy'] : [])],
  cannotRun: ({ benchmark }) => [
    ...(['isl', 'osl'] as const).flatMap((key) =>
      benchmark[key] == null
        ? [{ path: ['benchmark', key], text: 'is missing: sa-bench needs a length in tokens' }]
        : [],
    ),
    ...(benchmark.concurrencies.length === 0
      ? [{ path: ['benchmark', 'concurrencies'], text: 'is missing' }]
      : []),
  ],

  plan(context): PlannedBenchmark {
    const { runtime, pointDir } = context;
    const configFile = `${pointDir}/${CONFIG_FILE}`;
    const config = loadgenConfig(context);
    if (!config) return { type: 'sa-bench', process: null, resultDir: pointDir };
    const content = `${JSON.stringify(config, null, 2)}\n`;
    return {
      type: 'sa-bench',
      resultDir: pointDir,
      process: benchmarkProcess(context, {
        argv: [runtime.nodeBinary, `${runtime.distDir}/loadgen.js`, '--config', configFile],
        env: { ...hubHome(context), ...context.recipe.benchmark.env },
        files: [{ path: configFile, content }],
      }),
    };
  },

  async readResult({ resultDir }, { lossy } = { lossy: false }): Promise<BenchmarkResult> {
    const config = parseJson(loadgenConfigSchema, await readFile(join(resultDir, CONFIG_FILE), 'utf8'));
    if ('problem' in config) return invalid(`${CONFIG_FILE}: ${config.problem}`);
    const { concurrencies } = config.value;
    const present = new Set(await readdir(resultDir));
    const files = concurrencies.map(resultFileOf).filter((name) => present.has(name));
    const artifacts = [...files, CONFIG_FILE, 'benchmark.out'].filter((name) => present.has(name));
    const serving: ServingResult[] = [];
    for (const name of files) {
      const one = parseJson(servingResultSchema, await readFile(join(resultDir, name), 'utf8'));
      if ('problem' in one) return { ...invalid(`${name}: ${one.problem}`), serving, artifacts };
      serving.push(one.value);
    }
    const reason = whyNotValid(concurrencies, serving, lossy);
    if (reason !== undefined) return { ...invalid(reason), serving, artifacts };
    return { type: 'sa-bench', valid: true, serving, artifacts };
  },
};

const invalid = (reason: string): BenchmarkResult => ({
  type: 'sa-bench',
  valid: false,
  reason,
  serving: [],
  artifacts: [],
});
