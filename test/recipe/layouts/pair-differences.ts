/**
 * What the plans of a pair of public recipes differ in: one deployment, written in the first layout and, later, in the
 * second. Each difference is one of the two files and not one of srtctl, and has the place that shows it.
 */
export interface Difference {
  /** Facts of the plans, as `factsOf` names them. */
  readonly fact: RegExp;
  /** What the list of recipes says of the pair; or lines of the files of the first and second layout. */
  readonly reason: { readonly index: string } | { readonly first?: Line; readonly second?: Line };
}

type Line = readonly [number: number, text: string];

/** A new line in the file of the second layout. */
const added = (fact: RegExp, number: number, text: string): Difference => ({
  fact,
  reason: { second: [number, text] },
});

/** A line of the first layout without successor. */
const dropped = (fact: RegExp, number: number, text: string): Difference => ({
  fact,
  reason: { first: [number, text] },
});

const changed = (fact: RegExp, first: Line, second: Line): Difference => ({
  fact,
  reason: { first, second },
});

const index = (fact: RegExp, text: string): Difference => ({ fact, reason: { index: text } });

/** The pair declares NATS, and benchmarks get its address. */
const declaredNats = (number: number): Difference =>
  added(/^service nats$|^benchmark env SRT_SERVICE_NATS_/, number, 'name: nats');

const otherBenchmark = index(
  /^(recipe )?benchmark /,
  'benchmark block replaced by InferenceX (sa-bench -> custom)',
);

const SCRIPT = /^recipe benchmark command$|^benchmark -lc$/;

export const pairDifferences: Readonly<Record<string, readonly Difference[]>> = {
  'nv-trtllm-serve-agg': [],
  'nv-vllm-dynamo-disagg': [],
  'ix-dsr1-sglang-b200-1p1d': [otherBenchmark],
  'ix-dsr1-sglang-h100-1p1d-maxtp': [
    otherBenchmark,
    index(/^service nats$/, 'services added'),
    added(/^etcd startTimeoutMs$/, 134, 'timeout_seconds: 1200'),
  ],
  'ix-dsr1-trtllm-b200fp8-1p1d': [otherBenchmark],
  'ix-dsv4-vllm-gb200-1p1d-dep8-mtp': [index(SCRIPT, 'benchmark.command script path'), declaredNats(32)],
  'ix-dsv4-vllm-gb300-1p1d-mooncake': [index(SCRIPT, 'benchmark.command script path only'), declaredNats(44)],
  'ix-glm5.2-sglang-gb200-override': [
    index(/^recipe telemetry /, 'telemetry added'),
    index(/^(prefill|decode) env SGLANG_SIMULATE_ACC_/, 'simulated-acceptance env dropped'),
    changed(
      /^decode env SGLANG_NVFP4_CKPT_FP8_NEXTN_MOE$/,
      [87, "SGLANG_NVFP4_CKPT_FP8_NEXTN_MOE: '1'"],
      [133, "SGLANG_NVFP4_CKPT_FP8_NEXTN_MOE: '0'"],
    ),
    declaredNats(213),
  ],
  'ix-kimik3-vllm-gb200-agg-dep16-offload': [
    index(/^recipe benchmark aiperf_server_metrics$/, 'benchmark.aiperf_server_metrics dropped'),
    index(/^recipe telemetry /, 'telemetry, frontend args, batched tokens'),
    index(
      /^frontend --(dyn-chat-processor|enable-auto-tool-choice|reasoning-parser|tool-call-parser|trust-remote-code)$/,
      'telemetry, frontend args, batched tokens',
    ),
    index(/^agg --max-num-batched-tokens$/, 'telemetry, frontend args, batched tokens'),
    changed(
      /^agg --speculative-config$/,
      [113, '"model":"/tmp/Kimi-K3-DSpark"'],
      [135, '"model":"Inferact/Kimi-K3-DSpark"'],
    ),
    added(/^(recipe benchmark env|benchmark env ENABLE_AGENTX_POWER)$/, 177, 'ENABLE_AGENTX_POWER: "1"'),
    added(/^benchmark env REQUIRE_POWER$/, 178, 'REQUIRE_POWER: "1"'),
    declaredNats(47),
  ],
  'ix-kimik3-vllm-h200-agg-tp16dp2': [
    index(/^(agg|benchmark) image$/, 'drift: image, telemetry, concurrencies'),
    index(/^recipe telemetry /, 'drift: image, telemetry, concurrencies'),
    index(/^recipe benchmark concurrencies$/, 'drift: image, telemetry, concurrencies'),
    changed(
      /^recipe identity container$/,
      [13, 'image: "vllm/vllm-openai:kimi-k3"'],
      [14, 'vllm-openai:v0.29.0@'],
    ),
    changed(/^recipe identity frameworks$/, [15, 'vllm: "0.1.dev19262'], [16, 'vllm: "0.29.0"']),
    dropped(/^agg env VLLM_ROUTED_/, 53, 'VLLM_ROUTED_DOWN_PROJ_STREAM_TOKEN_THRESHOLD: "0"'),
    changed(
      /^agg --speculative-config$/,
      [68, '"rejection_sample_method":"synthetic"'],
      [69, '"rejection_sample_method":"block"'],
    ),
  ],
  'ix-qwen3.5-trtllm-gb300-1p7d': [
    index(/^(build|install)-dynamo /, 'dynamo source'),
    // The command of a worker under MPI installs Dynamo.
    index(/^(prefill|decode) -c$/, 'dynamo source'),
    dropped(/^(prefill|decode|frontend) env DYNAMO_(WHEEL_NAME|VERSION)$/, 9, 'wheel: 1.4.0.dev20260807'),
    changed(
      /^prefill trtllm_config_prefill.yaml enable_iter_perf_stats$/,
      [77, 'enable_iter_perf_stats: false'],
      [64, 'enable_iter_perf_stats: true'],
    ),
    changed(
      /^decode trtllm_config_decode.yaml enable_iter_perf_stats$/,
      [148, 'enable_iter_perf_stats: false'],
      [152, 'enable_iter_perf_stats: true'],
    ),
    dropped(/^decode env TLLM_SPEC_/, 56, "TLLM_SPEC_DECODE_FORCE_NUM_ACCEPTED_TOKENS: '4.04'"),
    dropped(/^prefill env TLLM_SPEC_/, 42, "TLLM_SPEC_DECODE_FORCE_NUM_ACCEPTED_TOKENS: '4.04'"),
    changed(SCRIPT, [203, 'multi_node/agentic_srt.sh'], [207, 'benchmarks/srt_agentic.sh']),
    added(
      /^(recipe benchmark env|benchmark env AIPERF_REQUIRED_SERVER_METRIC_PREFIX)$/,
      215,
      'AIPERF_REQUIRED_SERVER_METRIC_PREFIX: trtllm_kv_cache_utilization',
    ),
  ],
};
