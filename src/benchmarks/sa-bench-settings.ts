import type { Finding } from '../model/checks.ts';
import type { Recipe } from '../recipe/schema/schema.ts';
import { flagsToArgv } from '../recipe/values/flags.ts';
import type { LoadgenConfig } from './loadgen/config.ts';
import { arrivalsOf, datasetFindings, datasetOf, paceFindings } from './sa-bench-load.ts';
import { outsideFindings } from './sa-bench-outside.ts';

/** sa-bench's own defaults. */
const DEFAULTS = {
  randomRangeRatio: 0.8,
  promptsMultiplier: 10,
  warmupMultiplier: 2,
  recordsMiB: 64,
} as const;
/** A request of 32k tokens on a loaded system takes minutes, not hours. */
const REQUEST_TIMEOUT_MS = 1_800_000;

/** Files of the load generator, in the directory of its results. */
export const CONFIG_FILE = 'loadgen.json';
export const PROGRESS_FILE = 'progress.json';

type Asked = Pick<Recipe, 'benchmark'>;

/** What the load generator needs to know besides: the deployment, and where to write. */
type OfPlace =
  | 'url'
  | 'endpoint'
  | 'model'
  | 'mustList'
  | 'modelPath'
  | 'takesTokenIds'
  | 'seed'
  | 'caches'
  | 'engines'
  | 'gpus'
  | 'place'
  | 'caFile'
  | 'stopWhenInvalid'
  | 'rates'
  | 'resultDir'
  | 'group'
  | 'progressFile';

/**
 * The settings of the load generator that follow from `benchmark` alone. null when it does not say what to measure;
 * problemsOf names the missing part.
 */
export function settingsOf({ benchmark }: Asked): Omit<LoadgenConfig, OfPlace> | null {
  const { isl, osl, concurrencies, seed } = benchmark;
  const dataset = datasetOf({ benchmark });
  if (!dataset || concurrencies.length === 0) return null;
  if (dataset.name === 'random' && (isl == null || osl == null)) return null;
  return {
    v: 1,
    tokenizer: benchmark.tokenizer ?? null,
    useChatTemplate: benchmark.use_chat_template ?? null,
    dataset,
    isl: isl ?? 0,
    osl: osl ?? 0,
    sharedPrefixRatio: benchmark.shared_prefix_ratio ?? 0,
    randomRangeRatio: benchmark.random_range_ratio ?? DEFAULTS.randomRangeRatio,
    concurrencies,
    requestRate: benchmark.req_rate,
    arrivals: arrivalsOf(benchmark),
    burstiness: benchmark.burstiness ?? 1,
    rampUpS: benchmark.ramp_up ?? 0,
    durationS: benchmark.duration ?? null,
    promptsMultiplier: benchmark.num_prompts_mult ?? DEFAULTS.promptsMultiplier,
    warmupMultiplier: benchmark.num_warmup_mult ?? DEFAULTS.warmupMultiplier,
    isSeedFixed: seed != null,
    slo: sloOf({ benchmark }),
    validity: benchmark.validity ?? {},
    recordsMiB: benchmark.request_records_mib ?? DEFAULTS.recordsMiB,
    reuseConnections: benchmark.reuse_http_connections ?? false,
    clientThreads: benchmark.client_threads ?? null,
    apiKeyEnv: benchmark.api_key_env ?? null,
    headers: benchmark.headers ?? {},
    extraBody: benchmark.extra_body ?? {},
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
    client: clientOf({ benchmark }),
  };
}

/** The program that measures in place of the load generator; null: none. */
function clientOf({ benchmark: { client, aiperf_args: args } }: Asked): LoadgenConfig['client'] {
  if (client == null || client === 'srtctl') return null;
  return { name: client, args: client === 'aiperf' ? flagsToArgv(args ?? {}) : [] };
}

function sloOf({ benchmark }: Asked): LoadgenConfig['slo'] {
  const { ttft_threshold_ms: ttftMs, itl_threshold_ms: tpotMs, e2e_threshold_ms: e2elMs } = benchmark;
  return {
    ...(ttftMs == null ? {} : { ttftMs }),
    ...(tpotMs == null ? {} : { tpotMs }),
    ...(e2elMs == null ? {} : { e2elMs }),
  };
}

/** Why the load generator cannot do what `benchmark` asks. */
export const problemsOf = ({ benchmark }: Asked): Finding[] => [
  ...datasetFindings({ benchmark }),
  ...paceFindings({ benchmark }),
  ...outsideFindings({ benchmark }),
  ...(['isl', 'osl'] as const).flatMap((key) =>
    benchmark[key] == null && (benchmark.dataset_name ?? 'random') === 'random'
      ? [{ path: ['benchmark', key], text: 'is missing: sa-bench needs a length in tokens' }]
      : [],
  ),
  ...(benchmark.concurrencies.length === 0
    ? [{ path: ['benchmark', 'concurrencies'], text: 'is missing' }]
    : []),
];
