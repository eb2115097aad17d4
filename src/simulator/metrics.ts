interface Figures {
  readonly running: number;
  readonly queued: number;
  readonly promptTokens: number;
  readonly generationTokens: number;
  readonly requests: number;
  readonly ttft: readonly number[];
}

const TTFT_BUCKETS_S = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** SGLang's own metric names, in Prometheus' text format. */
export function prometheus(model: string, figures: Figures): string {
  const label = `model_name="${model.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
  const one = (name: string, type: string, help: string, value: number): string =>
    `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name}{${label}} ${value}\n`;
  const ttft = 'sglang:time_to_first_token_seconds';
  const seconds = figures.ttft.map((ms) => ms / 1_000);
  const buckets = TTFT_BUCKETS_S.map(
    (le) => `${ttft}_bucket{${label},le="${le}"} ${seconds.filter((value) => value <= le).length}\n`,
  ).join('');
  return [
    one('sglang:num_running_reqs', 'gauge', 'The number of running requests.', figures.running),
    one('sglang:num_queue_reqs', 'gauge', 'The number of requests in the waiting queue.', figures.queued),
    one('sglang:token_usage', 'gauge', 'The token usage.', Math.min(1, figures.running / 256)),
    one('sglang:prompt_tokens_total', 'counter', 'Number of prefill tokens processed.', figures.promptTokens),
    one(
      'sglang:generation_tokens_total',
      'counter',
      'Number of generation tokens processed.',
      figures.generationTokens,
    ),
    one('sglang:num_requests_total', 'counter', 'Number of requests processed.', figures.requests),
    `# HELP ${ttft} Histogram of time to first token in seconds.\n# TYPE ${ttft} histogram\n`,
    buckets,
    `${ttft}_bucket{${label},le="+Inf"} ${seconds.length}\n`,
    `${ttft}_sum{${label}} ${seconds.reduce((sum, value) => sum + value, 0)}\n${ttft}_count{${label}} ${seconds.length}\n`,
  ].join('');
}
