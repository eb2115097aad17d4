import type { ProbeSpec } from '../../messages/spec/process-spec.ts';
import {
  type BackendProtocol,
  type EngineProgress,
  recipeMode,
  type WorkerContext,
} from '../common/protocol.ts';
import { DYNAMO_GAUGES, DYNAMO_PROGRESS } from '../common/rest.ts';
import { isServer, servingPort, statusPort } from './context.ts';

/** A process without a server is ready when its leader is. */
export function healthProbe(context: WorkerContext): ProbeSpec {
  const { recipe, runtime, ranks, process } = context;
  const serves = process.ports.http > 0 ? process : (ranks[0] ?? process);
  const port = isServer(recipe) ? servingPort(context) : serves.ports.system;
  const host = isServer(recipe) ? (ranks[0] ?? process).node : serves.node;
  return { kind: 'http', host: runtime.address(host), port, path: '/health' };
}

/** vLLM's own metrics (https://docs.vllm.ai/en/latest/design/metrics.html); Dynamo forwards them. */
export function progress(context: WorkerContext): EngineProgress | undefined {
  const { recipe, runtime, process } = context;
  const { node, ports, rank, standby } = process;
  if (isServer(recipe) || standby !== undefined ? rank > 0 : ports.http === 0) return undefined;
  return {
    kind: 'metrics',
    host: runtime.address(node),
    port: statusPort(context),
    path: '/metrics',
    running: [
      'vllm:num_requests_running',
      'vllm:num_requests_waiting',
      ...(isServer(recipe) ? [] : DYNAMO_PROGRESS.running),
    ],
    counters: [
      'vllm:generation_tokens_total',
      'vllm:prompt_tokens_total',
      'vllm:kv_cache_usage_perc',
      ...(isServer(recipe) ? [] : DYNAMO_PROGRESS.counters),
    ],
  };
}

/** v1/metrics/loggers.py and v1/spec_decode/metrics.py, 0.32; `gpu_cache_usage_perc` in releases before 0.10. */
const SCHEDULER_METRICS = {
  preemptions: ['vllm:num_preemptions_total'],
  kvCacheUsage: ['vllm:kv_cache_usage_perc', 'vllm:gpu_cache_usage_perc'],
  queue: ['vllm:num_requests_waiting'],
  speculation: {
    steps: ['vllm:spec_decode_num_drafts_total'],
    tokens: ['vllm:spec_decode_num_accepted_tokens_total'],
    drafted: ['vllm:spec_decode_num_draft_tokens_total'],
    hasOwnToken: false,
  },
};

/**
 * Its own server flushes its caches in its development mode; under Dynamo there is only the status server.
 */
export function rest(context: WorkerContext): ReturnType<NonNullable<BackendProtocol['rest']>> {
  const { recipe, runtime, process } = context;
  const place = {
    host: runtime.address(process.node),
    port: statusPort(context),
  };
  const mode = `${recipeMode(process.mode)}_environment` as const;
  const flush = {
    ...place,
    // Includes the caches of a connector (entrypoints/serve/dev/cache/api_router.py, 0.32); other releases
    // ignore the parameter.
    path: '/reset_prefix_cache?reset_external=true',
    advice: `VLLM_SERVER_DEV_MODE: "1" in backend.${mode} makes vLLM offer it`,
  };
  return {
    flush: isServer(recipe) ? [flush] : [],
    ...(isServer(recipe) ? {} : { why: 'workers of Dynamo offer no /reset_prefix_cache' }),
    load: {
      ...place,
      path: '/metrics',
      gauges: [...DYNAMO_GAUGES, 'vllm:num_requests_running', 'vllm:num_requests_waiting'],
    },
    engineFigures: { ...place, path: '/metrics', ...SCHEDULER_METRICS },
    ...(process.mode === 'decode'
      ? {}
      : {
          cacheFigures: {
            ...place,
            path: '/metrics',
            hits: ['vllm:prefix_cache_hits_total', 'vllm:external_prefix_cache_hits_total'],
            prompts: ['vllm:prefix_cache_queries_total'],
          },
        }),
  };
}
