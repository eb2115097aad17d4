import { basename, isAbsolute } from 'node:path';
import { type Arguments, bindAddress, setting } from '../common/argv.ts';
import { Fatal } from '../common/fatal.ts';
import type { EngineOptions } from './engine-options.ts';

/** All options of dynamo.mocker 1.6.1, except those of routers (`router-…`) and of AIC (`ais-…`, `aic-…`). */
const KNOWN = new Set(
  (
    'active-decode-blocks-threshold active-prefill-tokens-threshold active-prefill-tokens-threshold-frac block-size ' +
    'bootstrap-ports data-parallel-size decode-speedup-ratio disaggregation-mode discovery-backend ' +
    'enable-chunked-prefill enable-prefix-caching enable-session-prefix-index endpoint engine-type event-plane ' +
    'extra-engine-args free-gpu-memory-fraction gpu-memory-utilization help host-offload-d2h-bandwidth-gbps ' +
    'host-offload-h2d-bandwidth-gbps is-decode-worker is-prefill-worker kv-bytes-per-token kv-cache-dtype ' +
    'kv-transfer-bandwidth kv-transfer-timing-mode load-aware max-model-len max-num-batched-tokens max-num-seqs ' +
    'mem-fraction-static model-name model-path no-enable-chunked-prefill no-enable-prefix-caching ' +
    'no-router-kv-events num-gpu-blocks-override num-host-blocks num-workers planner-profile-data preemption-mode ' +
    'reasoning request-plane response-plane response-replay-trace-path sglang-chunked-prefill-size ' +
    'sglang-clip-max-new-tokens sglang-generate sglang-max-prefill-tokens sglang-page-size ' +
    'sglang-schedule-conservativeness sglang-schedule-policy shared-cache-multiplier shared-cache-type ' +
    'speedup-ratio stagger-delay startup-time trtllm-capacity-scheduler-policy use-remote-indexer version ' +
    'zmq-kv-events-ports zmq-replay-ports'
  ).split(' '),
);

/** `python3 -m dynamo.mocker`: one process runs one worker or several. */
export interface MockerOptions {
  readonly engine: EngineOptions;
  readonly workers: number;
}

export function mockerOptions(args: Arguments): MockerOptions {
  const fail = (message: string): Fatal => new Fatal(`dynamo.mocker: error: ${message}`, { exitCode: 2 });
  args.refuseUnknown('dynamo.mocker');
  const unknown = Object.keys(args.record())
    .map((name) => name.replaceAll('_', '-'))
    .filter((name) => !KNOWN.has(name) && !/^(router|ais|aic)-/.test(name));
  if (unknown.length > 0)
    throw fail(`unrecognized arguments: ${unknown.map((name) => `--${name}`).join(' ')}`);
  const modelPath = args.text('model-path');
  if (modelPath === undefined) throw fail('the following arguments are required: --model-path');
  const mode = args.text('disaggregation-mode') ?? 'agg';
  if (!['agg', 'prefill', 'decode'].includes(mode))
    throw fail(`argument --disaggregation-mode: invalid choice: '${mode}'`);
  const workers = args.integer(1, 'num-workers');
  const ports = (args.text('bootstrap-ports') ?? '').split(',').filter((port) => port !== '');
  if (ports.length > 0 && ports.length !== workers)
    throw new Fatal(
      `ValueError: --bootstrap-ports must have exactly --num-workers (${workers}) ports, got ${ports.length}`,
      { traceback: true },
    );
  return {
    workers,
    engine: {
      modelPath,
      // The name of a directory, or the whole id of a model on the hub.
      servedModel: args.text('model-name') ?? (isAbsolute(modelPath) ? basename(modelPath) : modelPath),
      host: bindAddress('0.0.0.0'),
      port: 0,
      mode: mode === 'prefill' || mode === 'decode' ? mode : 'agg',
      bootstrapPort: Number(ports[0] ?? 0),
      nnodes: 1,
      nodeRank: 0,
      distInitAddr: null,
      contextLength: args.integer(131_072, 'max-model-len'),
      maxRunning: args.integer(256, 'max-num-seqs'),
      streamInterval: 1,
      dumpConfigTo: null,
      speed: (setting('SRTCTL_SIM_SPEED', 1) || 1) * Number(args.text('speedup-ratio') ?? 1),
      sglang: false,
      loadMs: Number(args.text('startup-time') ?? 0) * 1_000,
      hangAfterRequests: setting('SRTCTL_SIM_HANG_AFTER_REQUESTS', 0),
      record: args.record(),
    },
  };
}
