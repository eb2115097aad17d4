import { endingProcess } from '../../model/ending-process.ts';
import type { PlannedBenchmark, ProcessSpec } from '../../model/kinds.ts';
import { BENCHMARK_CHECK, benchmarkProcess } from '../common/process.ts';
import type { BenchmarkContext, BenchmarkKey, BenchmarkProtocol } from '../common/protocol.ts';
import type { Check } from './check.ts';
import { type AccuracyConfig, CONFIG_FILE, TOOL_DIR } from './config.ts';
import { FIRST_SEED, lmEvalArgv } from './lm-eval.ts';
import { runEvalArgv } from './run-eval.ts';
import { type AccuracyType, KINDS, problemsOf, settingsOf } from './settings.ts';

/** The slowest that an answer is written, tokens/s: a tool is silent until its first answer is complete. */
const SLOWEST = 10;

const USED: readonly BenchmarkKey[] = [
  ...(['num_examples', 'num_shots', 'num_threads', 'max_tokens', 'repeat'] as const),
  ...(['temperature', 'top_p', 'top_k', 'accuracy', 'dataset_path', 'tokenizer'] as const),
  ...(['api_key_env', 'container_image'] as const),
];

const OF_LONGBENCH: readonly BenchmarkKey[] = ['max_context_length', 'categories'];

/** An evaluation's longest input, where the recipe does not say it, tokens (srt-slurm 2.x). */
const LONGEST_INPUT = 128_000;

function configOf(type: AccuracyType, context: BenchmarkContext): AccuracyConfig {
  const { recipe, runtime, entry, pointDir } = context;
  const { benchmark } = recipe;
  const settings = settingsOf(type, recipe);
  const common = {
    ...settings,
    url: `http://${runtime.address(entry.node)}:${entry.port}`,
    model: entry.model.name,
    api: entry.chatAlone ? ('chat' as const) : settings.api,
    temperature: benchmark.temperature,
    topP: benchmark.top_p,
    topK: benchmark.top_k,
  };
  const isLong = type === 'longbenchv2';
  const outputs =
    settings.tool === 'run_eval'
      ? []
      : Array.from({ length: settings.repeats }, (_, at) => `${pointDir}/${TOOL_DIR}/repeat-${at + 1}`);
  const tokenizer =
    benchmark.tokenizer == null || benchmark.tokenizer === 'none' ? null : benchmark.tokenizer;
  const runs =
    settings.tool === 'run_eval'
      ? [
          runEvalArgv({
            ...common,
            dataset: benchmark.dataset_path,
            ...(isLong
              ? {
                  maxContextLength: benchmark.max_context_length ?? LONGEST_INPUT,
                  categories: benchmark.categories,
                }
              : {}),
          }),
        ]
      : outputs.map((output, at) =>
          lmEvalArgv({
            ...common,
            ...{ output, tokenizer, seed: FIRST_SEED + at },
            includePath: benchmark.accuracy?.include_path,
          }),
        );
  return {
    ...{ type, runs, outputs, url: common.url },
    tool: settings.tool,
    tasks: [...settings.tasks],
    repeats: settings.repeats,
    asked: settings.examples,
    shots: settings.shots ?? 0,
    dataFile: type.startsWith('gsm8k') ? (benchmark.dataset_path ?? null) : null,
    threads: settings.threads,
    min: benchmark.accuracy?.min ?? null,
    metric: benchmark.accuracy?.metric ?? null,
    apiKeyEnv: benchmark.api_key_env ?? null,
    resultDir: pointDir,
  };
}

/** How well a deployment answers questions: an evaluation by another tool, in the image of the engines. */
const accuracyOf = (type: AccuracyType): BenchmarkProtocol => ({
  type,
  uses: type === 'longbenchv2' ? [...USED, ...OF_LONGBENCH] : USED,
  judged: (argv) => [...argv, '--judge'],
  cannotRun: (recipe, way) => problemsOf(type, recipe, way),

  plan(context): PlannedBenchmark {
    const { recipe, runtime, pointDir } = context;
    const config = configOf(type, context);
    const configFile = `${pointDir}/${CONFIG_FILE}`;
    const { container_image: image, max_tokens: tokens, env } = recipe.benchmark;
    const process = benchmarkProcess(context, {
      argv: [runtime.nodeBinary, `${runtime.distDir}/accuracy.js`, '--config', configFile],
      env: { ...cacheOf(context), ...env },
      files: [{ path: configFile, content: `${JSON.stringify(config, null, 2)}\n` }],
      ...(image && runtime.containers ? { image } : {}),
    });
    const longest = tokens ?? KINDS[type].defaults.tokens[config.tool] ?? 0;
    const { progress } = process;
    return {
      type,
      resultDir: pointDir,
      ...(runtime.realEngines ? { before: [checkOf(type, context, process)] } : {}),
      process: {
        ...process,
        ...(progress
          ? { progress: { ...progress, hungAfterMs: progress.hungAfterMs + (longest / SLOWEST) * 1_000 } }
          : {}),
      },
    };
  },

  readResult: async ({ resultDir }) => {
    // Loaded when it is needed, because a plan needs no result.
    const { readAccuracy } = await import('./result.ts');
    return readAccuracy(type, resultDir);
  },
});

/** How long it may take to look for the tool, ms: an image on a busy disk. */
const CHECK_MS = 300_000;

/** Looks for the tool and for files before engines load. Points with the same evaluation have the same check. */
function checkOf(
  type: AccuracyType,
  { recipe, runtime, entry, roles }: BenchmarkContext,
  { image, env }: ProcessSpec,
): ProcessSpec {
  const { tool, tasks, api } = settingsOf(type, recipe);
  const { dataset_path: data, tokenizer, accuracy } = recipe.benchmark;
  // A name of the hub is no path.
  const paths = [data, tokenizer, accuracy?.include_path].filter((path) => path?.startsWith('/'));
  const check: Check = {
    tool,
    tasks: [...tasks],
    api: entry.chatAlone ? 'chat' : api,
    paths: paths.flatMap((path) => path ?? []),
  };
  return endingProcess({
    ...{ id: BENCHMARK_CHECK, role: 'step', phase: 'before_workers', node: roles.bench },
    argv: [runtime.nodeBinary, `${runtime.distDir}/accuracy.js`, '--check', JSON.stringify(check)],
    ...{ env, image },
    logFile: `${runtime.logDir}/${roles.bench}_${BENCHMARK_CHECK}.out`,
    endTimeoutMs: CHECK_MS,
    unhealthyAfterMs: CHECK_MS,
  });
}

/** The engines' cache of Hugging Face, which may have the data sets. */
function cacheOf({ recipe, runtime }: BenchmarkContext): Record<string, string> {
  const home = recipe.environment.HF_HOME ?? runtime.hfHome;
  return home == null ? {} : { HF_HOME: home };
}

export const accuracyBenchmarks: readonly BenchmarkProtocol[] = (Object.keys(KINDS) as AccuracyType[]).map(
  accuracyOf,
);
