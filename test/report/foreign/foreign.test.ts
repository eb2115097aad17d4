import { describe, expect, it } from 'vitest';
import { sourceOfFile } from '../../../src/report/foreign/index.ts';

const context = { gpus: { total: 8, prefill: null, decode: null }, mostRequests: 100 };
const read = (value: unknown) => sourceOfFile('file.json', JSON.stringify(value), context);
const onlyRow = (value: unknown) => read(value)?.points[0]?.rows[0];

/** As vLLM 0.32.0 writes it with --save-result --save-detailed and --percentile-metrics ttft,tpot,itl,e2el. */
const VLLM = {
  ...{
    date: '20261130-120000',
    endpoint_type: 'vllm',
    backend: 'vllm',
    label: null,
    model_id: 'm',
    tokenizer_id: 'm',
  },
  ...{
    num_prompts: 3,
    request_rate: 'inf',
    burstiness: 1,
    max_concurrency: 2,
    duration: 4,
    completed: 3,
    failed: 0,
  },
  ...{ total_input_tokens: 30, total_output_tokens: 60, request_throughput: 0.75, request_goodput: null },
  ...{
    output_throughput: 16,
    total_token_throughput: 24,
    max_output_tokens_per_s: 20,
    max_concurrent_requests: 2,
  },
  ...{
    input_lens: [1, 1, 1],
    output_lens: [3, 3, 1],
    ttfts: [0.1, 0.2, 0.3],
    itls: [[0.01, 0.03], [0.02, 0.02], []],
  },
  ...{ latencies: [0.14, 0.24, 0.3], errors: ['', '', ''] },
  ...{ mean_ttft_ms: 200, median_ttft_ms: 190, std_ttft_ms: 3, p99_ttft_ms: 300, 'p99.9_ttft_ms': 301 },
  ...{
    mean_tpot_ms: 20,
    median_tpot_ms: 25,
    std_tpot_ms: 1,
    p99_tpot_ms: 30,
    median_e2el_ms: 240,
    p99_e2el_ms: 310,
  },
};

/** As SGLang 0.5.23 writes a line. */
const SGLANG = {
  ...{
    tag: null,
    backend: 'sglang',
    dataset_name: 'random',
    request_rate: 4,
    max_concurrency: null,
    server_info: {},
  },
  ...{ duration: 10, completed: 40, total_input_tokens: 1, total_output_tokens: 2, request_throughput: 4 },
  ...{ input_throughput: 1, output_throughput: 80, total_throughput: 100, mean_e2e_latency_ms: 9 },
  ...{ median_e2e_latency_ms: 8, p99_e2e_latency_ms: 12, mean_ttft_ms: 1, median_ttft_ms: 2, p99_ttft_ms: 3 },
  ...{
    mean_tpot_ms: 4,
    median_tpot_ms: 5,
    p99_tpot_ms: 6,
    mean_itl_ms: 7,
    median_itl_ms: 8,
    concurrency: 3.5,
  },
};

const block = (unit: string, avg: number, more = {}) => ({ unit, avg, ...more });
/** As aiperf 0.13.0 writes it. */
const AIPERF = {
  ...{ schema_version: '1.5', aiperf_version: '0.13.0', was_cancelled: false, is_complete: true },
  input_config: { phases: [{ type: 'concurrency', concurrency: 16 }] },
  request_throughput: block('requests/sec', 3),
  request_latency: block('ms', 100, { p50: 90, p99: 200, min: 10, max: 210, std: 1, count: 30, sum: 3000 }),
  request_count: block('requests', 30),
  error_request_count: block('requests', 2),
  benchmark_duration: block('sec', 10),
  output_token_throughput: block('tokens/sec', 160),
  output_token_throughput_per_user: block('tokens/sec/user', 40, { p50: 44 }),
  time_to_first_token: block('sec', 0.02, { p50: 0.03, p99: 0.04 }),
  inter_token_latency: block('ms', 5, { p50: 6 }),
};

describe('files of other tools', () => {
  it('of `vllm bench serve` have its statistics, its requests, and GPUs as the user says', () => {
    expect(read(VLLM)).toMatchObject({ tool: 'vllm bench serve', name: 'file.json', recipe: null });
    expect(onlyRow(VLLM)).toMatchObject({
      ...{
        concurrency: 2,
        requestRate: null,
        valid: true,
        requests: 3,
        failed: 0,
        outputPerGpu: 2,
        outputPerUser: 40,
      },
      ttftMs: { mean: 200, median: 190, std: 3, p99: 300, p999: 301 },
      itlMs: {},
      e2elMs: { median: 240, p99: 310 },
      requestsFile: { completed: 3, failed: 0, ttftMs: [100, 200, 300], outputTokens: [3, 3, 1] },
    });
    const failed = { ...VLLM, failed: undefined, completed: 2, errors: ['', '', 'HTTP 500'] };
    expect(onlyRow(failed)).toMatchObject({
      valid: false,
      failed: 1,
      requestsFile: { completed: 2, failed: 1 },
    });
  });

  it('of sglang.bench_serving state no rate as Infinity, which JSON does not have', () => {
    const text = JSON.stringify({ ...SGLANG, request_rate: 'inf' }).replace('"inf"', 'Infinity');
    expect(sourceOfFile('runs.jsonl', text, context)?.points[0]?.rows[0]).toMatchObject({
      requestRate: null,
    });
  });

  it('of sglang.bench_serving have a row for each line', () => {
    const two = `${JSON.stringify(SGLANG)}\n${JSON.stringify({ ...SGLANG, max_concurrency: 8, request_rate: 'trace' })}\n`;
    const found = sourceOfFile('runs.jsonl', two, context);
    expect(found?.tool).toBe('sglang.bench_serving');
    expect(found?.points[0]?.rows).toMatchObject([
      ...[
        {
          id: '0/0',
          concurrency: null,
          requestRate: 4,
          failed: null,
          requests: 40,
          e2elMs: { median: 8, p99: 12 },
        },
      ],
      ...[
        { id: '0/1', concurrency: 8, requestRate: null, outputPerUser: 200, itlMs: { mean: 7, median: 8 } },
      ],
    ]);
  });

  it('of aiperf have their units in ms, and are not valid with errors or a run that was cut off', () => {
    expect(read(AIPERF)?.tool).toBe('aiperf 0.13.0');
    expect(onlyRow(AIPERF)).toMatchObject({
      ...{ concurrency: 16, durationS: 10, outputPerUser: 44, outputPerUserFrom: 'result', outputPerGpu: 20 },
      ...{ valid: false, reasons: ['2 of 32 requests failed'] },
      ...{
        ttftMs: { mean: 20, median: 30, p99: 40 },
        tpotMs: { median: 6 },
        e2elMs: { median: 90, max: 210 },
      },
    });
    const cut = { ...AIPERF, error_request_count: undefined, was_cancelled: true };
    expect(onlyRow(cut)).toMatchObject({ valid: false, reasons: ['the run was cancelled'] });
  });

  it('of an unknown form are none', () => {
    expect(read({ anything: 1 })).toBeUndefined();
    expect(sourceOfFile('x', 'no JSON', context)).toBeUndefined();
    expect(sourceOfFile('x', '', context)).toBeUndefined();
    expect(sourceOfFile('x', `${JSON.stringify(SGLANG)}\n{}`, context)).toBeUndefined();
  });
});
