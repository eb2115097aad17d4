import { VAIN, YET } from '../model/checks.ts';
import type { CacheFigures, EngineMetrics, PlannedBenchmark } from '../model/kinds.ts';
import { modesOf } from '../model/recipe-of.ts';
import { restartIn } from '../model/worker-restart.ts';
import { acceptsRestarts } from '../recipe/schema/experiment.ts';
import type { Recipe } from '../recipe/schema/schema.ts';
import { benchmarkProcess, outputProgress } from './common/process.ts';
import type { BenchmarkContext, BenchmarkProtocol } from './common/protocol.ts';
import type { LoadgenConfig } from './loadgen/config.ts';
import { clientFindings, furtherClients, groupOf } from './sa-bench-clients.ts';
import { vainFindings } from './sa-bench-load.ts';
import { vainOutside } from './sa-bench-outside.ts';
import { CONFIG_FILE, PROGRESS_FILE, problemsOf, settingsOf } from './sa-bench-settings.ts';

/** Messages for keys that srtctl's own load generator does not support. */
const UNUSED: BenchmarkProtocol['unused'] = {
  custom_tokenizer: `${VAIN}the model's tokenizer.json is used, and where its chat template is missing, the engine applies its own`,
  slow_down_sleep_time: `${YET}decode workers are not slowed down`,
  slow_down_wait_time: `${YET}decode workers are not slowed down`,
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
  const settings = settingsOf(recipe);
  if (!settings) return null;
  const { benchmark } = recipe;
  return {
    ...settings,
    url: `http://${runtime.address(entry.node)}:${entry.port}`,
    endpoint: entry.chatAlone ? '/v1/chat/completions' : '/v1/completions',
    model: entry.model.name,
    mustList: entry.model.isGiven,
    modelPath: runtime.realEngines ? runtime.modelPathInside : null,
    // Simulated engines count words, not tokens.
    tokenizer: runtime.realEngines ? settings.tokenizer : null,
    client: runtime.realEngines ? settings.client : null,
    takesTokenIds: entry.takesTokenIds,
    // Points share engines, and would find prompts of an earlier point in their caches.
    seed: benchmark.seed ?? ordinal,
    caches: workers.flatMap(({ process, cacheFigures }) =>
      cacheFigures ? [{ process, ...figuresOf(cacheFigures) }] : [],
    ),
    engines: workers.flatMap(({ process, engineFigures }) =>
      engineFigures ? [{ process, ...metricsOf(engineFigures) }] : [],
    ),
    gpus: gpusOf(processes),
    place: placeOf(runtime),
    // A recipe's frontend speaks HTTP.
    caFile: null,
    group: null,
    stopWhenInvalid: benchmark.stop_when_invalid && !mayLose(recipe, processes),
    ...(wantsRates(recipe) ? { rates: true } : {}),
    resultDir: pointDir,
    progressFile: `${pointDir}/${PROGRESS_FILE}`,
  };
}

/** Figures over time show what a fault does; other recipes do without. */
const wantsRates = (recipe: Recipe): boolean =>
  recipe.experiment != null || modesOf(recipe).some((mode) => restartIn(recipe, mode) !== null);

/** Whether a result with failed requests may be valid, because the run can do without a worker or wants its end. */
const mayLose = (recipe: Recipe, processes: BenchmarkContext['processes']): boolean =>
  acceptsRestarts(recipe) ||
  !recipe.supervision.critical.frontend ||
  processes.some(({ mode }) => !recipe.supervision.critical[mode]);

const figuresOf = ({ hits, prompts, ...place }: CacheFigures) => ({
  ...place,
  hits: [...hits],
  prompts: [...prompts],
});

const metricsOf = ({ preemptions, kvCacheUsage, queue, speculation, ...place }: EngineMetrics) => ({
  ...place,
  preemptions: [...preemptions],
  kvCacheUsage: [...kvCacheUsage],
  queue: [...queue],
  speculation: {
    ...speculation,
    steps: [...speculation.steps],
    tokens: [...speculation.tokens],
    drafted: [...speculation.drafted],
  },
});

/** The GPUs of all workers, and of each phase with disaggregation; null without GPUs. */
function gpusOf(processes: BenchmarkContext['processes']): LoadgenConfig['gpus'] {
  const of = (mode?: string): number => {
    const some = processes.filter((one) => mode === undefined || one.mode === mode);
    return new Set(some.flatMap(({ node, gpus }) => gpus.map((gpu) => `${node} ${gpu}`))).size;
  };
  const total = of();
  return total === 0 ? null : { total, prefill: of('prefill') || null, decode: of('decode') || null };
}

/** With `--local` all nodes are this machine. */
function placeOf({ realEngines, networkInterface }: BenchmarkContext['runtime']): LoadgenConfig['place'] {
  if (!realEngines) return 'mock';
  return networkInterface === 'lo' ? 'local' : 'node';
}

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
    ...(['ttft_threshold_ms', 'itl_threshold_ms', 'e2e_threshold_ms'] as const),
    ...(['validity', 'request_records_mib'] as const),
    ...(['reuse_http_connections', 'client_threads', 'api_key_env', 'headers', 'extra_body'] as const),
    ...(['dataset_name', 'dataset_path', 'tokenizer', 'shared_prefix_ratio'] as const),
    ...(['arrivals', 'burstiness', 'ramp_up', 'duration'] as const),
    ...(['client', 'aiperf_args', 'container_image', 'clients'] as const),
  ],
  unused: UNUSED,
  leavesFigures: true,
  measures: true,
  judged: (argv, { lossy }) => [...argv, '--judge', ...(lossy ? ['--lossy'] : [])],
  notDone: (recipe, way) => [...vainFindings(recipe, way), ...vainOutside(recipe, way)],
  cannotRun: (recipe) => [...problemsOf(recipe), ...clientFindings(recipe)],

  plan(context): PlannedBenchmark {
    const { runtime, pointDir } = context;
    const configFile = `${pointDir}/${CONFIG_FILE}`;
    const config = loadgenConfig(context);
    if (!config) return { type: 'sa-bench', process: null, resultDir: pointDir };
    const { container_image: image } = context.recipe.benchmark;
    const processOf = (
      file: string,
      given: LoadgenConfig,
      own: Parameters<typeof benchmarkProcess>[2] = {},
    ) =>
      benchmarkProcess(
        context,
        {
          ...(image && runtime.containers ? { image } : {}),
          ...(config.client ? { progress: outputProgress(context) } : {}),
          argv: [runtime.nodeBinary, `${runtime.distDir}/loadgen.js`, '--config', file],
          env: { ...hubHome(context), ...context.recipe.benchmark.env },
          files: [{ path: file, content: `${JSON.stringify(given, null, 2)}\n` }],
        },
        own,
      );
    const others = furtherClients(context, config).map(({ directory, config: given, ...own }) =>
      processOf(`${directory}/${CONFIG_FILE}`, given, own),
    );
    return {
      type: 'sa-bench',
      resultDir: pointDir,
      process: processOf(configFile, { ...config, group: groupOf(context, 0) }),
      ...(others.length > 0 ? { others } : {}),
    };
  },

  async readResult({ resultDir }, { lossy } = { lossy: false }) {
    // Loaded when it is needed, because a plan needs no result.
    const { readFigures } = await import('./sa-bench-result.ts');
    return readFigures(resultDir, lossy);
  },
};
