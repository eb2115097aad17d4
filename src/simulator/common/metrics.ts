const BUCKETS_S = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const RATE_WINDOW_MS = 1_000;

/** A Prometheus histogram of observed times: cumulative counts for each bound. */
export class Histogram {
  readonly #counts = BUCKETS_S.map(() => 0);
  #count = 0;
  #sum = 0;

  observe(ms: number): void {
    const seconds = ms / 1_000;
    this.#count++;
    this.#sum += seconds;
    for (const [index, bound] of BUCKETS_S.entries())
      if (seconds <= bound) this.#counts[index] = (this.#counts[index] ?? 0) + 1;
  }

  text(name: string, label: string, help: string): string {
    const bucket = (bound: string, count: number) => `${name}_bucket{${label},le="${bound}"} ${count}\n`;
    return [
      `# HELP ${name} ${help}\n# TYPE ${name} histogram\n`,
      ...BUCKETS_S.map((bound, index) => bucket(String(bound), this.#counts[index] ?? 0)),
      bucket('+Inf', this.#count),
      `${name}_sum{${label}} ${this.#sum}\n${name}_count{${label}} ${this.#count}\n`,
    ].join('');
  }
}

/** Growth of a count per second, over the last complete window. */
export class Rate {
  perSecond = 0;
  constructor(count: () => number) {
    let before = count();
    const timer = setInterval(() => {
      const now = count();
      this.perSecond = ((now - before) * 1_000) / RATE_WINDOW_MS;
      before = now;
    }, RATE_WINDOW_MS);
    timer.unref();
  }
}

interface Figures {
  readonly running: number;
  readonly queued: number;
  readonly promptTokens: number;
  readonly generationTokens: number;
  readonly realtime: Readonly<Record<string, number>>;
  readonly ttft: Histogram;
  readonly itl: Histogram;
  readonly active: ReadonlyMap<string, number>;
  readonly maxRunning: number;
  readonly requests: number;
  readonly genThroughput: number;
}

/** Queues of requests that wait for a KV transfer; always empty in the stand-in. */
const KV_QUEUES = [
  'prefill_bootstrap',
  'prefill_inflight',
  'decode_prealloc',
  'decode_transfer',
  'decode_host_receive',
];

/** SGLang's metrics in Prometheus' text format. */
export function prometheus(model: string, figures: Figures): string {
  const escaped = (text: string) => text.replaceAll('\\', '\\\\').replaceAll('"', '\\"');
  const label = `model_name="${escaped(model)}"`;
  const family = (
    name: string,
    type: 'gauge' | 'counter',
    help: string,
    samples: [string, number][],
  ): string =>
    `# HELP sglang:${name} ${help}\n# TYPE sglang:${name} ${type}\n` +
    samples.map(([labels, value]) => `sglang:${name}{${labels}} ${value}\n`).join('');
  const one = (name: string, type: 'gauge' | 'counter', help: string, value: number): string =>
    family(name, type, help, [[label, value]]);
  const { running, queued, maxRunning, promptTokens, generationTokens, requests, genThroughput, realtime } =
    figures;
  return [
    one('num_running_reqs', 'gauge', 'The number of running requests.', running),
    one('num_queue_reqs', 'gauge', 'The number of requests in the waiting queue.', queued),
    one('token_usage', 'gauge', 'The token usage.', running / maxRunning),
    one('gen_throughput', 'gauge', 'The generation throughput (token/s).', genThroughput),
    one('prompt_tokens_total', 'counter', 'Number of prefill tokens processed.', promptTokens),
    one('generation_tokens_total', 'counter', 'Number of generation tokens processed.', generationTokens),
    one('cached_tokens_total', 'counter', 'Number of cached prompt tokens.', 0),
    ...KV_QUEUES.map((queue) =>
      one(`num_${queue}_queue_reqs`, 'gauge', 'The number of requests that wait.', 0),
    ),
    one('num_requests_total', 'counter', 'Number of requests processed.', requests),
    family(
      'realtime_tokens_total',
      'counter',
      'Total number of tokens processed.',
      Object.entries(realtime).map(([mode, tokens]) => [`${label},mode="${mode}"`, tokens]),
    ),
    family(
      'http_requests_active',
      'gauge',
      'Number of currently active HTTP requests.',
      [...figures.active].map(([path, count]) => [`endpoint="${escaped(path)}"`, count]),
    ),
    figures.ttft.text(
      'sglang:time_to_first_token_seconds',
      label,
      'Histogram of time to first token in seconds.',
    ),
    figures.itl.text(
      'sglang:inter_token_latency_seconds',
      label,
      'Histogram of inter-token latency in seconds.',
    ),
  ].join('');
}
