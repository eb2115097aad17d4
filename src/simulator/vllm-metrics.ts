import type { Histogram } from './metrics.ts';

interface Figures {
  readonly running: number;
  readonly queued: number;
  readonly maxRunning: number;
  readonly promptTokens: number;
  readonly generationTokens: number;
  readonly requests: number;
  readonly ttft: Histogram;
}

/** vLLM's own names (v1/metrics/loggers.py of 0.32), those that tell what it does. */
export function vllmMetrics(model: string, figures: Figures): string {
  const label = `engine="0",model_name="${model.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`;
  const one = (name: string, type: 'gauge' | 'counter', help: string, value: number): string => {
    const family = `vllm:${name}`;
    const line = type === 'counter' ? `${family}_total` : family;
    return `# HELP ${line} ${help}\n# TYPE ${line} ${type}\n${line}{${label}} ${value}\n`;
  };
  const { running, queued, maxRunning, promptTokens, generationTokens, requests, ttft } = figures;
  return [
    one('num_requests_running', 'gauge', 'Number of requests in model execution batches.', running),
    one('num_requests_waiting', 'gauge', 'Number of requests waiting to be processed.', queued),
    one('kv_cache_usage_perc', 'gauge', 'KV-cache usage. 1 means 100 percent usage.', running / maxRunning),
    one(
      'prefix_cache_queries',
      'counter',
      'Prefix cache queries, in terms of number of queried tokens.',
      promptTokens,
    ),
    one('prefix_cache_hits', 'counter', 'Prefix cache hits, in terms of number of cached tokens.', 0),
    one('num_preemptions', 'counter', 'Cumulative number of preemption from the engine.', 0),
    one('prompt_tokens', 'counter', 'Number of prefill tokens processed.', promptTokens),
    one('generation_tokens', 'counter', 'Number of generation tokens processed.', generationTokens),
    `# HELP vllm:request_success_total Count of successfully processed requests.\n# TYPE vllm:request_success_total counter\nvllm:request_success_total{${label},finished_reason="length"} ${requests}\n`,
    ttft.text('vllm:time_to_first_token_seconds', label, 'Histogram of time to first token in seconds.'),
  ].join('');
}
