import type { Flags } from '../../recipe/values/flags.ts';
import { kvEventsArguments } from '../common/kv-events.ts';
import type { WorkerContext } from '../common/protocol.ts';
import { grpcPort, hasSidecar, withSidecar } from '../common/sidecar.ts';
import { ranksOf } from './published.ts';

const MODULE = 'dynamo.sglang.sidecar';

/** Options of a server whose requests come from its sidecar (srt-slurm 2.x, docs/sidecars.md). */
export function besideArguments(context: WorkerContext, flags: Flags): string[] {
  if (!hasSidecar(context.recipe)) return [];
  return [
    // Its own warm-up would ask a peer that does not exist.
    ...(context.process.mode === 'agg' ? [] : ['--skip-server-warmup']),
    ...(hasOwn(context, flags) ? ['--grpc-port', String(grpcPort(context))] : []),
    // The sidecar takes each piece for new text, and SGLang repeats the text so far without this.
    ...(flags['incremental-streaming-output'] === undefined ? ['--incremental-streaming-output'] : []),
  ];
}

/** A process with its sidecar, where it has one. The sidecar learns the rest from the engine. */
export function beside(context: WorkerContext, argv: string[], flags: Flags): string[] {
  const { recipe, runtime, process } = context;
  if (!hasSidecar(recipe) || !hasOwn(context, flags)) return argv;
  const isPrefill = process.rank === 0 && process.mode === 'prefill';
  const bootstrap = isPrefill ? ['--bootstrap-host', runtime.address(process.node)] : [];
  return withSidecar(context, { name: 'SGLang', module: MODULE, argv }, bootstrap);
}

/** Several groups of ranks on one node each need a port, and SGLang would give all of them this one. */
export const sharesNcclPort = ({ recipe }: WorkerContext, flags: Flags): boolean =>
  hasSidecar(recipe) && ranksOf(flags) > 1 && !flags['enable-dp-attention'];

/** The image's own extension for gRPC is used, because images cannot build one. */
export const besideEnvironment = ({ recipe }: WorkerContext): Record<string, string> =>
  hasSidecar(recipe) ? { SGLANG_RUST_BUILD_MODE: 'never' } : {};

/** The leader, and followers whose KV events their sidecar passes on. */
function hasOwn(context: WorkerContext, flags: Flags): boolean {
  const { process, ranks } = context;
  if (process.rank === 0) return true;
  return kvEventsArguments(context).length > 0 && publishes(flags, ranks.length, process.rank);
}

/** Of attention's data parallelism the first rank of each group publishes, in the first pipeline stage. */
function publishes(flags: Flags, nodes: number, node: number): boolean {
  if (!flags['enable-dp-attention']) return false;
  const size = (...names: string[]) => Number(names.map((name) => flags[name]).find((x) => x != null) ?? 1);
  const tensor = size('tensor-parallel-size', 'tp-size', 'tp');
  const perStage = Math.max(Math.floor(nodes / size('pipeline-parallel-size', 'pp-size', 'pp')), 1);
  if (node >= perStage) return false;
  const local = tensor / perStage;
  const group = tensor / ranksOf(flags);
  return Math.ceil((node * local) / group) * group < (node + 1) * local;
}
