import type { Arguments } from '../common/argv.ts';
import { Fatal } from '../common/fatal.ts';
import type { RouterKind } from './answers.ts';

/**
 * Options of the routers' parsers: sglang-router 0.3.2, smg 1.13.0, vllm-router 0.1.17 (`launch_router
 * --help`). Any other option ends the real router with exit code 2.
 */
const ALL =
  'api-key balance-abs-threshold balance-rel-threshold cache-threshold cb-failure-threshold ' +
  'cb-success-threshold cb-timeout-duration-secs cb-window-duration-secs cors-allowed-origins decode ' +
  'decode-policy decode-selector disable-circuit-breaker disable-retries enable-igw eviction-interval-secs ' +
  'health-check-endpoint health-check-interval-secs health-check-timeout-secs health-failure-threshold ' +
  'health-success-threshold host log-dir log-level max-concurrent-requests max-payload-size max-tree-size ' +
  'policy port prefill prefill-policy prefill-selector prometheus-host prometheus-port queue-size ' +
  'queue-timeout-secs rate-limit-tokens-per-second request-id-headers request-timeout-secs ' +
  'retry-backoff-multiplier retry-initial-backoff-ms retry-jitter-factor retry-max-backoff-ms ' +
  'retry-max-retries selector service-discovery service-discovery-namespace service-discovery-port ' +
  'worker-startup-check-interval worker-startup-timeout-secs worker-urls';
const SGLANG_AND_SMG =
  'assignment-mode backend bucket-adjust-interval-secs ca-cert-paths chat-template client-cert-path ' +
  'client-key-path control-plane-api-keys control-plane-audit-enabled disable-health-check dp-aware ' +
  'enable-trace history-backend jwt-audience jwt-issuer jwt-jwks-uri jwt-role-mapping max-idle-secs ' +
  'mcp-config-path model-path oracle-connect-descriptor oracle-password oracle-pool-max oracle-pool-min ' +
  'oracle-pool-timeout-secs oracle-tns-alias oracle-username oracle-wallet-path otlp-traces-endpoint ' +
  'pd-disaggregation postgres-db-url postgres-pool-max prometheus-duration-buckets reasoning-parser ' +
  'redis-pool-max redis-retention-days redis-url shutdown-grace-period-secs tls-cert-path tls-key-path ' +
  'tokenizer-cache-enable-l0 tokenizer-cache-enable-l1 tokenizer-cache-l0-max-entries ' +
  'tokenizer-cache-l1-max-memory tokenizer-path tool-call-parser';
const SGLANG = 'mini-lb';
const SMG =
  'balance-token-usage-threshold block-size cache-boundaries cache-index cache-match-threshold ' +
  'cache-ttl-secs disable-load-monitoring disable-tokenizer-autoload disable-worker-overload-protection ' +
  'discovery-check-interval-secs discovery-file discovery-provider dp-minimum-tokens-scheduler enable-mesh ' +
  'enable-rl enable-wasm encode encode-policy encode-selector epd-disaggregation header-read-timeout-secs ' +
  'health-check-port history-memory-max-items history-memory-max-responses history-memory-retention-secs ' +
  'idle-connection-timeout-secs jemalloc-prof-dir job-queue-capacity job-queue-concurrency ' +
  'kv-connector-annotation kv-engine-id-annotation kv-index least-load-default-throughput ' +
  'least-load-kv-pressure-weight least-load-max-waiting-requests least-load-mean-prefill-tokens ' +
  'load-monitor-interval log-json log-mm-timing max-background-responses max-buffered-request-bytes ' +
  'mesh-advertise-host mesh-host mesh-peer-urls mesh-port mesh-server-name mesh-tls-ca-cert mesh-tls-cert ' +
  'mesh-tls-key mm-allow-private-media-hosts mm-allowed-media-domains mm-per-request-image-limit ' +
  'mm-pixel-cache-mb mm-pixel-rdma mm-processing model model-alias model-id-from ' +
  'multimodal-max-inflight-bytes multimodal-shm-min-bytes multimodal-tensor-transport ' +
  'no-remove-unhealthy-workers no-worker-auto-recovery oracle-external-auth overlap-decay ' +
  'overload-token-usage-threshold parser pd-admission-wait-secs postgres-op-timeout-secs ' +
  'power-of-two-load-metric prefill-max-inflight-requests-per-worker prefill-queue-size ' +
  'prefill-queue-timeout-secs prefix-hash-balance-abs-threshold prefix-hash-load-factor prefix-token-count ' +
  'priority-scheduler-config priority-scheduler-default-max-class priority-scheduler-enabled ' +
  'priority-scheduler-tenant-metric-top-n rdma-listen-ip rdma-slot-ttl-s redis-op-timeout-secs ' +
  'remove-unhealthy-workers rl-control-timeout-secs rl-fanout-concurrency router-selector ' +
  'routing-key-headers routing-key-override schema-config selection-accounting-ttl-ms selection-policy ' +
  'selection-temperature spill-abs-threshold spill-rel-threshold sse-keepalive-secs sticky-key-idle-secs ' +
  'sticky-sessions storage-context-headers storage-hook-wasm-path stream-body-stall-timeout-secs ' +
  'tenant-api-key tenant-header-name tenant-rate-limit-config tenant-rate-limit-enabled ' +
  'tokenizer-cache-l0-max-memory trust-tenant-header upstream-http2 upstream-pool-idle-timeout-secs ' +
  'worker-auto-recovery worker-overload-protection worker-overload-shed worker-overload-token-usage ' +
  'worker-overload-waiting-requests worker-stale-secs worker-stall-secs worker-startup-delay ' +
  'worker-warmup-blocks worker-warmup-divert-every worker-warmup-secs worker-warmup-share ' +
  'worker-warmup-thin-ratio worker-wedge-secs zmq-engine-count';
const VLLM =
  'enable-program-scheduling intra-node-data-parallel-size kv-aware-session-affinity-ttl-secs kv-connector ' +
  'kv-event-block-size kv-event-model kv-event-replay-source kv-event-source kv-penalty-disk ' +
  'kv-penalty-external kv-penalty-host mini-lb pd-kv-events program-scheduling-config-json ' +
  'router-temperature vllm-discovery-address vllm-pd-disaggregation wasm-middleware wasm-middleware-route ' +
  'wasm-middleware-sha256';

const POLICIES = {
  // The last two are not in 0.3.2, but in its source since (sgl-project/sglang at ef23c7e, sgl-model-gateway/src/policies).
  sglang: 'random round_robin cache_aware power_of_two manual consistent_hashing prefix_hash',
  smg: 'random round_robin passthrough cache_aware power_of_two least_load manual consistent_hashing prefix_hash',
  vllm: 'random round_robin cache_aware kv_aware power_of_two consistent_hash sticky_least_loaded',
} as const;

const words = (...lists: string[]): string[] => lists.flatMap((list) => list.split(' '));

const NAMES: Readonly<Record<RouterKind, ReadonlySet<string>>> = {
  sglang: new Set(words(ALL, SGLANG_AND_SMG, SGLANG)),
  smg: new Set(words(ALL, SGLANG_AND_SMG, SMG)),
  vllm: new Set(words(ALL, VLLM)),
};

/** Fails as Python's argparse does for an option or a policy that the router lacks. */
export function checkOptions(kind: RouterKind, argv: readonly string[], args: Arguments): void {
  const usage = 'usage: launch_router.py [-h] [--host HOST] [--port PORT]';
  const refuse = (why: string): never => {
    throw new Fatal(`${usage}\nlaunch_router.py: error: ${why}`, { exitCode: 2 });
  };
  for (const word of argv) {
    const [, name] = /^--([^=]+)/.exec(word) ?? [];
    if (name === undefined || NAMES[kind].has(name)) continue;
    // argparse accepts an unambiguous prefix.
    const begun = [...NAMES[kind]].filter((each) => each.startsWith(name));
    if (begun.length !== 1) refuse(`unrecognized arguments: ${word}`);
  }
  for (const option of ['policy', 'prefill-policy', 'decode-policy']) {
    const policy = args.text(option);
    const choices = words(
      POLICIES[kind],
      ...(option === 'prefill-policy' && kind !== 'vllm' ? ['bucket'] : []),
    );
    if (policy !== undefined && !choices.includes(policy))
      refuse(
        `argument --${option}: invalid choice: '${policy}' (choose from ${choices.map((choice) => `'${choice}'`).join(', ')})`,
      );
  }
}
