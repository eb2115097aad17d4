import type { EndpointMode } from '../../model/kinds.ts';
import { recipeOf } from '../../model/recipe-of.ts';
import { PlanError } from '../../os/errors.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import { optionsOf } from '../common/config.ts';
import type { WorkerContext } from '../common/protocol.ts';
import type { VllmConfig } from './schema.ts';

/** Where workers tell vLLM's router that they exist (`--vllm-discovery-address`). */
export const DISCOVERY_PORT = 36_367;

/** Below the ports that Linux gives out by itself, as MoRI opens others. */
const HANDSHAKE = 26_000;
const NOTIFY = 27_000;

const isVllm = (backend: Recipe['backend']): backend is VllmConfig => backend.type === 'vllm';

/** Whether the workers of a mode transfer with MoRI-IO, AMD's connector for ROCm. */
export function usesMoriio(recipe: Recipe, mode: EndpointMode): boolean {
  const { backend } = recipeOf(recipe, mode);
  if (!isVllm(backend)) return false;
  const named = optionsOf(backend.vllm_config, mode).connector ?? backend.connector;
  return typeof named === 'string' && named.toLowerCase() === 'moriio';
}

/** Whether workers report to vLLM's router, which then has no workers on its command line. */
export const discoversWorkers = (recipe: Recipe): boolean =>
  (['prefill', 'decode'] as const).some((mode) => usesMoriio(recipe, mode));

/** @throws PlanError for a recipe whose workers could not find each other */
export function requireDiscovery(recipe: Recipe): void {
  const wrong = (path: string, message: string): PlanError =>
    new PlanError('wrong-connector', message, { place: { file: '', path } });
  if (recipe.frontend.type !== 'vllm-router')
    throw wrong('frontend.type', 'workers with MoRI-IO report to vllm-router, and to no other router');
  if (recipe.frontend.enable_multiple_frontends)
    throw wrong(
      'frontend.enable_multiple_frontends',
      'must be false, as workers with MoRI-IO report to one router',
    );
  const both = (['prefill', 'decode'] as const).every((mode) => usesMoriio(recipe, mode));
  if (!both || (recipe.resources.agg_workers ?? 0) > 0)
    throw wrong('backend.connector', 'MoRI-IO needs prefill and decode workers, and both of them with it');
}

/** Each rank adds its number to both ports, so that a worker has as many as GPUs. */
export function moriioPorts({ runtime, process, all }: WorkerContext): { handshake: number; notify: number } {
  const before = all.slice(0, all.indexOf(process)).reduce((sum, { gpus }) => sum + gpus.length, 0);
  return {
    handshake: runtime.port(process.node, HANDSHAKE + before),
    notify: runtime.port(process.node, NOTIFY + before),
  };
}

/**
 * --kv-transfer-config of a worker (vllm-project/vllm at 9679173, moriio_common.py). Ports are texts there; without
 * `host_ip` it would take its own guess of an interface.
 */
export function moriioConfig(context: WorkerContext, httpPort: number): object {
  const { recipe, runtime, roles, process } = context;
  requireDiscovery(recipe);
  const { handshake, notify } = moriioPorts(context);
  return {
    kv_connector: 'MoRIIOConnector',
    kv_role: process.mode === 'prefill' ? 'kv_producer' : 'kv_consumer',
    kv_connector_extra_config: {
      proxy_ip: runtime.address(roles.head),
      proxy_ping_port: String(runtime.port(roles.head, DISCOVERY_PORT)),
      http_port: String(httpPort),
      host_ip: runtime.address(process.node),
      handshake_port: String(handshake),
      notify_port: String(notify),
      read_mode: true,
    },
  };
}
