import type { Finding } from '../../model/checks.ts';
import { modesOf } from '../../model/recipe-of.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import { type Flags, flagsToArgv } from '../../recipe/values/flags.ts';
import { configReader, optionsOf } from '../common/config.ts';
import { kvEventsOf } from '../common/kv-events.ts';
import type { WorkerContext } from '../common/protocol.ts';
import { besideAddress, grpcPort, halfOf, hasSidecar, withSidecar } from '../common/sidecar.ts';
import type { Layout } from './layout.ts';
import { withoutApiServer } from './options.ts';
import type { VllmConfig } from './schema.ts';

const MODULE = 'dynamo.vllm.sidecar';
const configOf = configReader<VllmConfig>('vllm');

/** Options that follow from the plan. */
const OWN = new Set([
  'connector',
  ...['data-parallel-address', 'data-parallel-hybrid-lb', 'data-parallel-rank', 'data-parallel-rpc-port'],
  ...['data-parallel-size-local', 'data-parallel-start-rank', 'distributed-executor-backend', 'grpc'],
  ...['grpc-port', 'headless', 'host', 'kv-transfer-config', 'master-addr', 'master-port', 'model', 'nnodes'],
  ...['node-rank', 'port', 'served-model-name'],
]);

export interface BesideParts {
  readonly options: Flags;
  readonly layout: Layout;
  readonly name: string;
  /** Where the ranks of several nodes meet. */
  readonly distribution: readonly string[];
  /** `--kv-transfer-config`. */
  readonly transfer: readonly string[];
  readonly masterPort: number;
}

/**
 * vLLM's Rust server with its sidecar; Python's `vllm serve` with that server where an engine has several nodes, because
 * `vllm-rs serve` starts on one node alone (srt-slurm 2.x, docs/sidecars.md).
 */
export function besideCommand(context: WorkerContext, parts: BesideParts): string[] {
  const { runtime, process, ranks } = context;
  const { options, layout, name, distribution, transfer, masterPort } = parts;
  const spans = ranks.length > 1;
  const isReplica = spans && layout.kind === 'tensor';
  const headless = isReplica && process.rank > 0;
  const host = besideAddress(runtime, process.node);
  const rest = Object.fromEntries(Object.entries(options).filter(([option]) => !OWN.has(option)));
  const events = kvEventsOf(context, `tcp://${runtime.address(process.node)}`);
  const argv = [
    ...(spans
      ? ['env', 'VLLM_USE_RUST_FRONTEND=1', 'python3', '-m', 'vllm.entrypoints.cli.main']
      : ['vllm-rs']),
    ...['serve', runtime.modelPathInside, '--served-model-name', name],
    ...(headless
      ? []
      : ['--host', host, '--port', String(httpPort(context)), '--grpc-port', String(grpcPort(context))]),
    ...(isReplica
      ? ['--distributed-executor-backend', 'mp', ...distribution, '--master-port', String(masterPort)]
      : spans
        ? distribution
        : onOneNode(distribution)),
    ...transfer,
    ...events,
    ...flagsToArgv(headless ? withoutApiServer(rest) : rest),
  ];
  return headless ? argv : withSidecar(context, { name: 'vLLM', module: MODULE, argv }, halfOf(process.mode));
}

/** A server on one node has all its ranks there, so it neither starts at a rank nor shares requests with others. */
function onOneNode(distribution: readonly string[]): string[] {
  const start = distribution.indexOf('--data-parallel-start-rank');
  return distribution.filter(
    (word, at) => word !== '--data-parallel-hybrid-lb' && (start < 0 || (at !== start && at !== start + 1)),
  );
}

/** Its own server, which its sidecar alone reaches. */
export const httpPort = ({ runtime, process, all }: WorkerContext): number =>
  process.ports.http > 0 ? process.ports.http : runtime.port(process.node, 6_000 + all.indexOf(process));

/** Plugins of an image could replace types that the Rust server expects. */
export const besideEnvironment = ({ recipe }: WorkerContext): Record<string, string> =>
  hasSidecar(recipe) ? { VLLM_PLUGINS: '' } : {};

export function cannotRunBeside(recipe: Recipe): Finding[] {
  if (!hasSidecar(recipe)) return [];
  const { dp_launch_mode: launch, failover, vllm_config: config } = configOf(recipe);
  const isSpanning = modesOf(recipe).some((mode) => {
    const options = optionsOf(config, mode);
    const size = (name: string) => Number(options[name] ?? 1);
    const each = size('tensor-parallel-size') * size('pipeline-parallel-size');
    return size('data-parallel-size') > 1 && each > recipe.resources.gpus_per_node;
  });
  return [
    ...(launch === 'per_gpu'
      ? [{ path: ['backend', 'dp_launch_mode'], text: 'must be per_node beside a Dynamo sidecar' }]
      : []),
    ...(failover
      ? [{ path: ['backend', 'failover'], text: 'cannot be beside a Dynamo sidecar: dynamo.vllm elects' }]
      : []),
    ...(isSpanning
      ? [
          {
            path: ['dynamo', 'engine_mode'],
            text: 'is sidecar, which takes no data-parallel ranks that are larger than a node: use workers of their own',
          },
        ]
      : []),
  ];
}
