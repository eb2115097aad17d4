import { parse } from 'yaml';
import { benchmarkSchema } from '../../benchmarks/index.ts';
import type { LoadgenConfig } from '../../benchmarks/loadgen/config.ts';
import { PROGRESS_FILE, problemsOf, settingsOf } from '../../benchmarks/sa-bench-settings.ts';
import { SrtctlError } from '../../os/errors.ts';

/** Options of `srtctl bench`, as they stand on the command line. */
export interface BenchOptions {
  readonly url: string;
  readonly model?: string;
  readonly tokenizer?: string;
  readonly isl?: string;
  readonly osl?: string;
  readonly concurrency?: string;
  readonly rate?: string;
  readonly requests?: string;
  readonly duration?: string;
  readonly dataset?: string;
  readonly datasetPath?: string;
  readonly slo?: string;
  readonly seed?: string;
  readonly client?: string;
  readonly gpus?: string;
  readonly apiKeyEnv?: string;
  readonly caFile?: string;
  readonly chat?: boolean;
  readonly tokenIds?: boolean;
  readonly set?: readonly string[];
}

/** Requests in flight with a rate, at most, unless --concurrency says otherwise. */
const MOST_IN_FLIGHT = 1_024;
/** How long requests of a rate are sent, in seconds, unless --requests or --duration says otherwise. */
const RATE_S = 60;

/** One run of the load generator: the settings, without the place of its files. */
export interface BenchRun {
  /** Empty when there is only one run. */
  readonly name: string;
  readonly config: Omit<LoadgenConfig, 'resultDir' | 'progressFile'>;
}

/**
 * The runs that a command line asks for: one for all concurrencies, or one for each rate.
 * @throws SrtctlError that names the option
 */
export function runsOf(options: BenchOptions): BenchRun[] {
  const rates = options.rate === undefined ? [undefined] : listOf(options.rate, '--rate');
  return rates.map((rate) => ({
    name: rates.length === 1 ? '' : `rate-${rate}`,
    config: configOf(options, rate),
  }));
}

function configOf(options: BenchOptions, rate: number | undefined): BenchRun['config'] {
  const { url, model, gpus, caFile, chat, tokenIds } = options;
  const address = addressOf(url);
  const keys = keysOf(options, rate);
  const sets = setsOf(options.set ?? []);
  const [twice] = Object.keys(sets).filter((key) => key in keys);
  if (twice !== undefined) throw usage(`--set ${twice}=…: ${optionOf(twice)} says it already`);
  const asked = benchmarkSchema.safeParse({ ...keys, ...sets });
  if (!asked.success) {
    const [issue] = asked.error.issues;
    const key = issue?.code === 'unrecognized_keys' ? issue.keys[0] : issue?.path[0];
    throw usage(`${optionOf(key)}: ${issue?.message}`);
  }
  const benchmark = asked.data;
  const [problem] = problemsOf({ benchmark });
  if (problem) throw usage(`${optionOf(problem.path.at(-1))} ${problem.text}`);
  const settings = settingsOf({ benchmark });
  if (!settings) throw usage('nothing to measure');
  return {
    ...settings,
    url: address,
    endpoint: chat ? '/v1/chat/completions' : '/v1/completions',
    model: model ?? null,
    // Another name would be another model: what was asked for by name has to be there.
    mustList: true,
    modelPath: null,
    // Without a template an unknown server's prompts are as they are.
    useChatTemplate: settings.useChatTemplate ?? chat ?? false,
    takesTokenIds: tokenIds === true,
    seed: benchmark.seed ?? 0,
    isSeedFixed: true,
    caches: [],
    engines: [],
    gpus: gpus === undefined ? null : { total: whole(gpus, '--gpus'), prefill: null, decode: null },
    // A server on the same machine takes the time of the load generator, as engines do with --local.
    place: isLoopback(address) ? 'local' : 'node',
    caFile: caFile ?? null,
    group: null,
    stopWhenInvalid: benchmark.stop_when_invalid,
  };
}

/**
 * The address of the server, without `/v1` at its end; a path before that stays, as of a gateway.
 * @throws SrtctlError for what is no such address
 */
function addressOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (!parsed || !/^https?:$/.test(parsed.protocol))
    throw usage(`--url ${url}: is no http:// or https:// address`);
  const { origin, pathname, search, hash, username, password } = parsed;
  if (username !== '' || password !== '')
    throw usage('--url with a name or a password: give a key by --api-key-env');
  if (search !== '' || hash !== '') throw usage(`--url ${url}: has more than a path`);
  const path = pathname.replace(/\/+$/, '').replace(/\/v1$/, '');
  if (/\/v1\/|\/(chat\/)?completions$/.test(path))
    throw usage(`--url ${url}: ends before /v1; --chat asks /v1/chat/completions`);
  return `${origin}${path}`;
}

const isLoopback = (url: string): boolean => /^(localhost|127\.[\d.]+|\[::1\])$/.test(new URL(url).hostname);

/** The keys of `benchmark` that options stand for. */
function keysOf(options: BenchOptions, rate: number | undefined): Record<string, unknown> {
  const { isl, osl, concurrency, requests, duration, dataset, datasetPath, tokenizer, seed } = options;
  const inFlight = concurrency ?? (rate === undefined ? undefined : String(MOST_IN_FLIGHT));
  const concurrencies = inFlight === undefined ? [] : listOf(inFlight, '--concurrency');
  const [only] = concurrencies;
  if (new Set(concurrencies).size < concurrencies.length)
    throw usage(`--concurrency ${concurrency}: has a number twice, and its results one name`);
  if (requests !== undefined && duration !== undefined)
    throw usage('--requests and --duration: use only one of the two options');
  if (requests !== undefined && (concurrencies.length !== 1 || only === undefined))
    throw usage('--requests needs one concurrency or a rate; for several there is --set num_prompts_mult=N');
  const seconds = duration ?? (rate !== undefined && requests === undefined ? String(RATE_S) : undefined);
  return {
    type: 'sa-bench',
    ...(isl === undefined ? {} : { isl: whole(isl, '--isl') }),
    ...(osl === undefined ? {} : { osl: whole(osl, '--osl') }),
    ...(concurrencies.length === 0 ? {} : { concurrencies }),
    ...(rate === undefined ? {} : { req_rate: rate }),
    // A warm-up of twice the requests in flight would be a load of its own beside a rate.
    ...(rate === undefined || concurrency !== undefined ? {} : { num_warmup_mult: 0 }),
    ...(requests === undefined || only === undefined
      ? {}
      : { num_prompts_mult: whole(requests, '--requests') / only }),
    ...(seconds === undefined ? {} : { duration: positive(seconds, '--duration') }),
    ...(dataset === undefined ? {} : { dataset_name: dataset }),
    ...(datasetPath === undefined ? {} : { dataset_path: datasetPath }),
    ...(tokenizer === undefined ? {} : { tokenizer }),
    ...(seed === undefined ? {} : { seed: whole(seed, '--seed', 0) }),
    ...(options.client === undefined ? {} : { client: options.client }),
    ...(options.apiKeyEnv === undefined ? {} : { api_key_env: options.apiKeyEnv }),
    ...slosOf(options.slo),
  };
}

const SLOS = { ttft: 'ttft_threshold_ms', itl: 'itl_threshold_ms', e2e: 'e2e_threshold_ms' } as const;

/** `ttft=500,itl=50,e2e=20000`, in ms. */
function slosOf(text: string | undefined): Record<string, number> {
  if (text === undefined) return {};
  const parts = text.split(',').map((part) => {
    const [name = '', limit = ''] = part.split('=');
    const key = name in SLOS ? SLOS[name as keyof typeof SLOS] : undefined;
    if (!key) throw usage(`--slo ${text}: has ${name}, and knows ${Object.keys(SLOS).join(', ')}`);
    if (!(Number(limit) > 0)) throw usage(`--slo ${text}: ${name} needs a limit in ms, such as ${name}=500`);
    return [key, Number(limit)] as const;
  });
  return Object.fromEntries(parts);
}

/** `key=value` for keys of `benchmark` that have no option; a value is YAML, as in a recipe. */
function setsOf(texts: readonly string[]): Record<string, unknown> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=');
      if (at < 1) throw usage(`--set ${text}: is not KEY=VALUE`);
      return [text.slice(0, at).replace(/^benchmark\./, ''), parse(text.slice(at + 1))];
    }),
  );
}

/** `1x4x16` or `1,4,16`. */
function listOf(text: string, option: string): number[] {
  return text.split(/[x,]/).map((part) => {
    const value = Number(part);
    if (part.trim() !== '' && Number.isFinite(value) && value > 0) return value;
    throw usage(`${option} ${text}: must be numbers above 0, such as 1x4x16`);
  });
}

function positive(text: string, option: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value > 0) return value;
  throw usage(`${option} ${text}: must be a number above 0`);
}

function whole(text: string, option: string, least = 1): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isInteger(value) && value >= least) return value;
  throw usage(`${option} ${text}: must be a whole number from ${least}`);
}

const OPTIONS: Readonly<Record<string, string>> = {
  isl: '--isl',
  osl: '--osl',
  concurrencies: '--concurrency',
  req_rate: '--rate',
  dataset_name: '--dataset',
  dataset_path: '--dataset-path',
  client: '--client',
  tokenizer: '--tokenizer',
  api_key_env: '--api-key-env',
};

/** The option, or `--set KEY`, that a key of `benchmark` comes from. */
const optionOf = (key: PropertyKey | undefined): string => OPTIONS[String(key)] ?? `--set ${String(key)}`;

const usage = (text: string): SrtctlError =>
  new SrtctlError('usage', text, { hint: 'srtctl bench --help has examples' });

/** The whole input of a run whose files are in `directory`. */
export const placed = (config: BenchRun['config'], directory: string): LoadgenConfig => ({
  ...config,
  resultDir: directory,
  progressFile: `${directory}/${PROGRESS_FILE}`,
});
