import type { RouterKind } from './answers.ts';

/** Metric families on the routers' metrics port after a few requests, by type. */
const FAMILIES: Readonly<Record<RouterKind, Readonly<Record<string, string>>>> = {
  sglang: {
    gauge:
      'smg_http_connections_active smg_worker_cb_state smg_worker_health smg_worker_pool_size ' +
      'smg_worker_retry_backoff_seconds',
    histogram: 'smg_http_request_duration_seconds smg_router_request_duration_seconds',
    counter:
      'smg_http_requests_total smg_http_responses_total smg_router_requests_total ' +
      'smg_router_upstream_responses_total smg_worker_cb_outcomes_total smg_worker_retries_exhausted_total ' +
      'smg_worker_retries_total smg_worker_selection_total',
  },
  smg: {
    gauge:
      'smg_admission_inflight smg_allocator_active_bytes smg_allocator_allocated_bytes ' +
      'smg_allocator_metadata_bytes smg_allocator_resident_bytes smg_engine_cache_hit_rate ' +
      'smg_engine_gen_throughput smg_engine_running_requests smg_engine_token_usage ' +
      'smg_engine_waiting_requests smg_history_memory_records smg_http_connections_active ' +
      'smg_tokio_alive_tasks smg_tokio_global_queue_depth smg_tokio_worker_busy_ratio ' +
      'smg_tokio_workers smg_worker_cb_consecutive_failures smg_worker_cb_consecutive_successes ' +
      'smg_worker_cb_state smg_worker_health smg_worker_http2 smg_worker_pool_size',
    counter:
      'smg_detokenize_prefix_mismatch_total smg_engine_load_polls_total smg_http_rate_limit_total ' +
      'smg_http_requests_total smg_http_responses_total smg_router_request_body_path_total ' +
      'smg_router_request_errors_total smg_router_requests_total smg_router_upstream_responses_total ' +
      'smg_tokenizer_cache_evictions_total smg_tokenizer_cache_lookups_total ' +
      'smg_tokenizer_cache_reused_bytes_total smg_tokenizer_encode_fallbacks_total ' +
      'smg_tokenizer_encode_path_loads_total smg_tokio_event_loop_stalls_total ' +
      'smg_tokio_worker_parks_total smg_worker_cb_health_readmissions_total ' +
      'smg_worker_cb_transitions_total smg_worker_health_checks_total ' +
      'smg_worker_liveness_fallback_total smg_worker_overload_fallback_total ' +
      'smg_worker_overload_shed_total smg_worker_requests_total smg_worker_retries_exhausted_total ' +
      'smg_worker_cb_outcomes_total smg_worker_retries_total smg_worker_selection_total',
    histogram:
      'smg_http_request_duration_seconds smg_tokio_event_loop_delay_seconds ' +
      'smg_router_request_duration_seconds smg_worker_retry_backoff_seconds',
  },
  vllm: {
    gauge: 'vllm_router_active_workers vllm_router_cb_state vllm_router_worker_health',
    counter:
      'vllm_router_cb_outcomes_total vllm_router_policy_decisions_total ' +
      'vllm_router_processed_requests_total vllm_router_request_errors_total ' +
      'vllm_router_requests_total',
    histogram: 'vllm_router_generate_duration_seconds',
  },
};

const textOf = (kind: RouterKind): string =>
  Object.entries(FAMILIES[kind])
    .flatMap(([type, names]) => names.split(' ').map((name) => `# TYPE ${name} ${type}\n${name} 0\n`))
    .join('');

export const METRICS: Readonly<Record<RouterKind, string>> = {
  sglang: textOf('sglang'),
  smg: textOf('smg'),
  vllm: textOf('vllm'),
};
