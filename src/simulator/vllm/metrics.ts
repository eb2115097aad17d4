import type { Histogram } from '../common/metrics.ts';

interface Figures {
  readonly running: number;
  readonly queued: number;
  readonly maxRunning: number;
  readonly promptTokens: number;
  readonly generationTokens: number;
  readonly requests: number;
  readonly ttft: Histogram;
}

const BEGAN = Date.now() / 1_000;

/** vLLM's metrics (v1/metrics/loggers.py of 0.32) that describe its work. */
export function vllmMetrics(model: string, figures: Figures): string {
  const label = `engine="0",model_name="${model.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
  /** Python's client adds a creation time to each counter and histogram. */
  const createdOf = (name: string, labels = label): string =>
    `# HELP vllm:${name}_created When it began.\n# TYPE vllm:${name}_created gauge\nvllm:${name}_created{${labels}} ${BEGAN}\n`;
  const one = (name: string, type: 'gauge' | 'counter', help: string, value: number): string => {
    const line = type === 'counter' ? `vllm:${name}_total` : `vllm:${name}`;
    const family = `# HELP ${line} ${help}\n# TYPE ${line} ${type}\n${line}{${label}} ${value}\n`;
    return type === 'counter' ? `${family}${createdOf(name)}` : family;
  };
  const { running, queued, maxRunning, promptTokens, generationTokens, requests, ttft } = figures;
  return [
    one('num_requests_running', 'gauge', 'Number of requests in model execution batches.', running),
    one('num_requests_waiting', 'gauge', 'Number of requests waiting to be processed.', queued),
    `# HELP vllm:num_requests_waiting_by_reason Number of waiting requests by reason.\n# TYPE vllm:num_requests_waiting_by_reason gauge\nvllm:num_requests_waiting_by_reason{${label},reason="capacity"} ${queued}\nvllm:num_requests_waiting_by_reason{${label},reason="deferred"} 0\n`,
    one('kv_cache_usage_perc', 'gauge', 'KV-cache usage. 1 means 100 percent usage.', running / maxRunning),
    one(
      'prefix_cache_queries',
      'counter',
      'Prefix cache queries, in terms of number of queried tokens.',
      promptTokens,
    ),
    one('prefix_cache_hits', 'counter', 'Prefix cache hits, in terms of number of cached tokens.', 0),
    one('external_prefix_cache_queries', 'counter', 'External prefix cache queries, in tokens.', 0),
    one('external_prefix_cache_hits', 'counter', 'External prefix cache hits, in tokens.', 0),
    one('num_preemptions', 'counter', 'Cumulative number of preemption from the engine.', 0),
    one('prompt_tokens', 'counter', 'Number of prefill tokens processed.', promptTokens),
    one('generation_tokens', 'counter', 'Number of generation tokens processed.', generationTokens),
    `# HELP vllm:request_success_total Count of successfully processed requests.\n# TYPE vllm:request_success_total counter\nvllm:request_success_total{${label},finished_reason="length"} ${requests}\n`,
    createdOf('request_success', `${label},finished_reason="length"`),
    createdOf('time_to_first_token_seconds'),
    ttft.text('vllm:time_to_first_token_seconds', label, 'Histogram of time to first token in seconds.'),
  ].join('');
}
