import type { OutsideAsked, OutsideName } from './settings.ts';

/** One run of another client. */
export interface OutsideRun {
  readonly config: Pick<
    OutsideAsked,
    | 'url'
    | 'endpoint'
    | 'useChatTemplate'
    | 'tokenizer'
    | 'modelPath'
    | 'dataset'
    | 'isl'
    | 'osl'
    | 'randomRangeRatio'
    | 'requestRate'
    | 'arrivals'
    | 'burstiness'
    | 'reuseConnections'
    | 'headers'
    | 'extraBody'
    | 'seed'
  >;
  /** The model's name in requests. */
  readonly model: string;
  readonly concurrency: number;
  readonly requests: number;
  readonly warmups: number;
  /** Absolute directory where the client leaves its files. */
  readonly directory: string;
  readonly args: readonly string[];
}

/** What is to be run, and the file in which it leaves its figures. */
export interface OutsideCommand {
  readonly argv: readonly [string, ...string[]];
  readonly resultFile: string;
  /** Variables that it must not have. */
  readonly without?: readonly string[];
}

/** What every request has beside its prompt, as those of the load generator. */
const SAMPLING = { temperature: 0, ignore_eos: true };

/** Percentiles of our result form; 0 and 100 are the extremes. */
const PERCENTILES = '0,1,5,10,25,50,75,90,95,99,99.9,100';

/** The command line of a client for one concurrency. Pure. */
export const commandOf: Readonly<Record<OutsideName, (run: OutsideRun) => OutsideCommand>> = {
  /**
   * The parser of vLLM 0.32.0 (vllm/benchmarks/serve.py, datasets/datasets.py). Lengths are uniform in
   * [length × (1 - r), length × (1 + r)], so length and r are those of the window that the recipe's ratio gives.
   * The key comes from OPENAI_API_KEY.
   */
  'vllm-bench': (run) => {
    const { config, model, concurrency, requests, warmups, directory } = run;
    const { randomRangeRatio: ratio, dataset, requestRate } = config;
    const middle = (length: number): string => String(Math.max(1, Math.round((length * (1 + ratio)) / 2)));
    const chat = isChat(config);
    const workload =
      dataset.name === 'random'
        ? [
            ...['--dataset-name', 'random', '--random-input-len', middle(config.isl)],
            ...['--random-output-len', middle(config.osl)],
            ...['--random-range-ratio', ((1 - ratio) / (1 + ratio)).toFixed(4)],
          ]
        : ofSharegpt(dataset.path, config.osl);
    return {
      argv: [
        ...(['vllm', 'bench', 'serve', '--backend', chat ? 'openai-chat' : 'openai'] as const),
        ...['--base-url', config.url, '--endpoint', endpointOf(config), '--model', model],
        ...['--tokenizer', tokenizerOf(config), ...workload, '--num-prompts', String(requests)],
        ...['--max-concurrency', String(concurrency), '--num-warmups', String(warmups)],
        ...(requestRate === 'inf' ? [] : ['--request-rate', String(requestRate)]),
        ...(requestRate === 'inf' || config.burstiness === 1
          ? []
          : ['--burstiness', String(config.burstiness)]),
        ...['--seed', String(config.seed), '--ignore-eos', '--temperature', '0'],
        ...['--percentile-metrics', 'ttft,tpot,itl,e2el', '--metric-percentiles', PERCENTILES],
        ...['--save-result', '--result-dir', directory, '--result-filename', 'result.json'],
        ...headersOf(config, '='),
        ...(hasBody(config) ? ['--extra-body', JSON.stringify(config.extraBody)] : []),
      ],
      resultFile: `${directory}/result.json`,
    };
  },
  /**
   * The parser of SGLang 0.5.23 (sglang/benchmark/serving.py; older releases have the module sglang.bench_serving
   * alone, and this one has it, too). Lengths of `random-ids` are uniform in [ratio × length, length], as ours.
   * It states neither the extremes nor p95, so it writes the times of each request. The key comes from OPENAI_API_KEY.
   */
  'sglang-bench': (run) => {
    const { config, model, concurrency, requests, warmups, directory } = run;
    const { randomRangeRatio: ratio, dataset, requestRate } = config;
    const resultFile = `${directory}/result.jsonl`;
    const workload =
      dataset.name === 'random'
        ? [
            ...['--dataset-name', 'random-ids', '--random-input-len', String(config.isl)],
            ...['--random-output-len', String(config.osl), '--random-range-ratio', String(ratio)],
          ]
        : ofSharegpt(dataset.path, config.osl);
    return {
      argv: [
        ...(['python3', '-m', 'sglang.bench_serving'] as const),
        ...['--backend', isChat(config) ? 'sglang-oai-chat' : 'sglang-oai', '--base-url', config.url],
        ...['--model', tokenizerOf(config), '--served-model-name', model],
        ...['--tokenizer', tokenizerOf(config), ...workload, '--num-prompts', String(requests)],
        ...['--max-concurrency', String(concurrency), '--warmup-requests', String(warmups)],
        ...(requestRate === 'inf' ? [] : ['--request-rate', String(requestRate)]),
        ...['--seed', String(config.seed), '--output-file', resultFile, '--output-details'],
        ...headersOf(config, '='),
        ...(hasBody(config) ? ['--extra-request-body', JSON.stringify(config.extraBody)] : []),
      ],
      resultFile,
    };
  },
  /**
   * The options of aiperf 0.13.0 (`aiperf profile --help`, aiperf/config). With the window of SGLang's client, lengths
   * are uniform in [ratio × length, length]. Without as many entries as requests, it would repeat 100 prompts.
   */
  aiperf: (run) => {
    const { config, model, concurrency, requests, warmups, directory, args } = run;
    const { randomRangeRatio: ratio, requestRate } = config;
    return {
      argv: [
        ...(['aiperf', 'profile', '--model', model, '--url', config.url, '--streaming'] as const),
        ...['--endpoint-type', isChat(config) ? 'chat' : 'completions', '--tokenizer', tokenizerOf(config)],
        ...['--isl', String(config.isl), '--osl', String(config.osl)],
        ...(ratio === 1 ? [] : ['--random-corpus-style', 'sglang', '--random-range-ratio', String(ratio)]),
        ...['--concurrency', String(concurrency), '--request-count', String(requests)],
        ...['--num-dataset-entries', String(requests + warmups)],
        ...(warmups > 0 ? ['--warmup-request-count', String(warmups)] : []),
        ...(requestRate === 'inf' ? [] : ['--request-rate', String(requestRate), ...arrivalsOf(config)]),
        ...['--connection-reuse-strategy', config.reuseConnections ? 'pooled' : 'never'],
        // Counts by usage, as ours; max_tokens, because engines take it for both endpoints.
        ...['--use-server-token-count', '--use-legacy-max-tokens'],
        ...['--extra-inputs', JSON.stringify({ ...SAMPLING, ...config.extraBody })],
        ...['--random-seed', String(config.seed), '--artifact-dir', directory],
        ...['--ui', 'none', '--no-gpu-telemetry', '--no-server-metrics'],
        ...headersOf(config, ':'),
        ...args,
      ],
      resultFile: `${directory}/profile_export_aiperf.json`,
      // Offline it takes a directory for the name of a repository, and refuses it (aiperf/common/tokenizer.py).
      ...(/^[/.]/.test(tokenizerOf(config)) ? { without: ['HF_HUB_OFFLINE', 'TRANSFORMERS_OFFLINE'] } : {}),
    };
  },
};

type Config = OutsideRun['config'];

const isChat = ({ endpoint, useChatTemplate }: Config): boolean =>
  endpoint === '/v1/chat/completions' || useChatTemplate === true;

const endpointOf = (config: Config): string => (isChat(config) ? '/v1/chat/completions' : '/v1/completions');

/** @throws Error when there is none: these clients make no prompt without one */
function tokenizerOf({ tokenizer, modelPath }: Config): string {
  const path = tokenizer ?? modelPath;
  if (path !== null && path !== 'none') return path;
  throw new Error(
    'benchmark.tokenizer: another client needs one: name its directory, or org/name in the cache of the hub',
  );
}

const ofSharegpt = (path: string, osl: number): string[] => [
  ...['--dataset-name', 'sharegpt', '--dataset-path', path],
  ...(osl > 0 ? ['--sharegpt-output-len', String(osl)] : []),
];

const headersOf = ({ headers }: Config, separator: string): string[] => {
  const all = Object.entries(headers).map(([name, value]) => `${name}${separator}${value}`);
  if (separator === '=') return all.length > 0 ? ['--header', ...all] : [];
  return all.flatMap((header) => ['--header', header]);
};

const hasBody = ({ extraBody }: Config): boolean => Object.keys(extraBody).length > 0;

const arrivalsOf = ({ arrivals, burstiness }: Config): string[] => [
  ...['--arrival-pattern', arrivals],
  ...(arrivals === 'gamma' ? ['--arrival-smoothness', String(burstiness)] : []),
];
