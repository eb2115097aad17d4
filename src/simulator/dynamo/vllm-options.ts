import { Arguments, bindAddress, setting } from '../common/argv.ts';
import { Fatal } from '../common/fatal.ts';
import type { EngineOptions } from '../engine/engine-options.ts';

/** `python3 -m dynamo.vllm`: it serves only on the request plane, so it needs no fixed port. */
export function dynamoVllmOptions(argv: readonly string[]): EngineOptions {
  const args = new Arguments(argv);
  args.refuseUnknown('dynamo.vllm');
  const modelPath = args.text('model') ?? 'Qwen/Qwen3-0.6B';
  const told = args.text('disaggregation-mode') ?? 'agg';
  if (!['agg', 'prefill', 'decode', 'encode'].includes(told))
    throw new Fatal(`dynamo.vllm: error: argument --disaggregation-mode: invalid choice: '${told}'`, {
      exitCode: 2,
    });
  const mode = args.has('is-prefill-worker') ? 'prefill' : args.has('is-decode-worker') ? 'decode' : told;
  const nnodes = args.integer(1, 'nnodes');
  const master = { host: args.text('master-addr') ?? '127.0.0.1', port: args.integer(29_501, 'master-port') };
  const lock = process.env.FAILOVER_LOCK_PATH;
  const standsBy = args.has('gms-shadow-mode');
  if (standsBy && args.text('load-format') !== 'gms')
    throw new Fatal('ValueError: --gms-shadow-mode requires --load-format gms', { traceback: true });
  if (standsBy && lock === undefined) throw new Fatal("KeyError: 'FAILOVER_LOCK_PATH'", { traceback: true });
  return {
    ...(standsBy && lock ? { standsBy: { lock, engine: `engine-${process.env.ENGINE_ID ?? '0'}` } } : {}),
    modelPath,
    servedModel: args.text('served-model-name') ?? modelPath,
    host: bindAddress('0.0.0.0'),
    port: 0,
    mode: mode === 'prefill' || mode === 'decode' ? mode : 'agg',
    bootstrapPort: 0,
    nnodes,
    nodeRank: args.integer(0, 'node-rank'),
    distInitAddr: nnodes > 1 ? master : null,
    contextLength: args.integer(131_072, 'max-model-len'),
    maxRunning: args.integer(256, 'max-num-seqs'),
    streamInterval: Math.max(1, args.integer(1, 'stream-interval')),
    dumpConfigTo: args.text('dump-config-to') ?? null,
    speed: setting('SRTCTL_SIM_SPEED', 1) || 1,
    loadMs: setting('SRTCTL_SIM_LOAD_MS', 2_000),
    sglang: false,
    hangAfterRequests: setting('SRTCTL_SIM_HANG_AFTER_REQUESTS', 0),
    record: args.record(),
  };
}

/** `vllm-rs serve MODEL`, and `vllm serve MODEL` with its server: an engine for a sidecar. */
export function besideOptions([command, model, ...argv]: readonly string[]): EngineOptions {
  if (command !== 'serve' || model === undefined)
    throw new Fatal('usage: vllm-rs serve <MODEL> [OPTIONS]', { exitCode: 2 });
  const args = new Arguments(argv);
  return {
    ...dynamoVllmOptions(['--model', model, ...argv]),
    host: bindAddress(args.text('host') ?? '127.0.0.1'),
    port: args.integer(8_000, 'port'),
    ...(args.has('grpc-port') ? { grpcPort: args.integer(0, 'grpc-port') } : {}),
  };
}
