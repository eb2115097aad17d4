import { type Arguments, bindAddress, setting } from '../common/argv.ts';
import { Fatal } from '../common/fatal.ts';

/**
 * The options of an engine that the simulator uses; it accepts all others and shows them in /get_server_info.
 */
export interface EngineOptions {
  readonly modelPath: string;
  readonly servedModel: string;
  readonly host: string;
  readonly port: number;
  readonly mode: 'agg' | 'prefill' | 'decode';
  readonly bootstrapPort: number;
  readonly nnodes: number;
  readonly nodeRank: number;
  readonly distInitAddr: { host: string; port: number } | null;
  readonly contextLength: number;
  /** A prefill answers with one token whatever the request asks for, and reserves no room for more. */
  readonly oneTokenOfPrefill?: boolean;
  readonly maxRunning: number;
  readonly streamInterval: number;
  /** File for the options, as Dynamo writes it. */
  readonly dumpConfigTo: string | null;
  readonly speed: number;
  readonly loadMs: number;
  /** Whether /health waits for a token and answers have all fields, as with SGLang. */
  readonly sglang: boolean;
  /** The engine hangs after this many requests; 0 = never. */
  readonly hangAfterRequests: number;
  readonly record: Record<string, unknown>;
  /** Port for a sidecar of Dynamo. */
  readonly grpcPort?: number;
  /** A standby of others: it serves when it has the lock of this file. */
  readonly standsBy?: { readonly lock: string; readonly engine: string };
  /** Whether it answers as Dynamo's frontend does. */
  readonly dynamo?: boolean;
}

const usage = (message: string): Fatal => new Fatal(`launch_server.py: error: ${message}`, { exitCode: 2 });

/** Reads the options, and refuses contradictions that the real engine refuses. */
export function engineOptions(args: Arguments): EngineOptions {
  const modelPath = args.text('model-path', 'model');
  if (modelPath === undefined) throw usage('the following arguments are required: --model-path');
  args.refuseUnknown('launch_server.py');
  const nnodes = args.integer(1, 'nnodes');
  const nodeRank = args.integer(0, 'node-rank');
  const tp = args.integer(1, 'tensor-parallel-size', 'tp-size', 'tp');
  const distInit = args.text('dist-init-addr', 'nccl-init-addr');
  const mode = args.text('disaggregation-mode') ?? 'null';
  if (nnodes < 1 || nodeRank < 0 || nodeRank >= nnodes)
    throw new Fatal(`AssertionError: node_rank ${nodeRank} is outside of nnodes ${nnodes}`, {
      traceback: true,
    });
  if (nnodes > 1 && distInit === undefined)
    throw new Fatal('AssertionError: --dist-init-addr is needed with --nnodes above 1', { traceback: true });
  if (tp % nnodes !== 0)
    throw new Fatal(`AssertionError: tp_size ${tp} must be divisible by number of nodes ${nnodes}`, {
      traceback: true,
    });
  if (!['null', 'prefill', 'decode', 'agg', 'prefill_and_decode'].includes(mode))
    throw usage(
      `argument --disaggregation-mode: invalid choice: '${mode}' (choose from null, prefill, decode)`,
    );
  const port = args.integer(30_000, 'port');
  if (port === 0 && nodeRank === 0) throw usage('argument --port: the leader needs a port');
  return {
    modelPath,
    servedModel: args.text('served-model-name') ?? modelPath,
    host: bindAddress(args.text('host') ?? '127.0.0.1'),
    port,
    mode: mode === 'prefill' || mode === 'decode' ? mode : 'agg',
    bootstrapPort: args.integer(8_998, 'disaggregation-bootstrap-port'),
    nnodes,
    nodeRank,
    distInitAddr: distInit === undefined ? null : hostAndPort(distInit),
    contextLength: args.integer(131_072, 'context-length'),
    maxRunning: args.integer(256, 'max-running-requests'),
    ...(args.has('grpc-port') ? { grpcPort: args.integer(0, 'grpc-port') } : {}),
    streamInterval: Math.max(1, args.integer(1, 'stream-interval')),
    dumpConfigTo: args.text('dump-config-to') ?? null,
    speed: setting('SRTCTL_SIM_SPEED', 1) || 1,
    loadMs: setting('SRTCTL_SIM_LOAD_MS', 2_000),
    sglang: true,
    hangAfterRequests: setting('SRTCTL_SIM_HANG_AFTER_REQUESTS', 0),
    record: {
      ...numbered(args.record()),
      dp_size: args.integer(1, 'data-parallel-size', 'dp-size', 'dp'),
      tp_size: tp,
    },
  };
}

function hostAndPort(text: string): { host: string; port: number } {
  const [, host, port] = text.match(/^(.+):(\d+)$/) ?? [];
  if (host === undefined || port === undefined)
    throw usage(`argument --dist-init-addr: '${text}' is not host:port`);
  return { host, port: Number(port) };
}

/** Engines report their options parsed: routers refuse a number in quotes. */
const numbered = (record: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(record).map(([name, value]) => [
      name,
      typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value,
    ]),
  );
