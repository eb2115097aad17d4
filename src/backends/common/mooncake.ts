import type { JobContext, Roles } from '../../model/kinds.ts';
import { PlanError } from '../../os/errors.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import type { WorkerContext } from './protocol.ts';

/** Ports of the Mooncake master on the infra node: its RPC, its metadata server and its own HTTP. */
const MOONCAKE_PORTS = { rpc: 8700, metadata: 8701, metrics: 8702 } as const;

export function mooncakePorts(
  { port }: Pick<JobContext, 'port'>,
  { infra }: Pick<Roles, 'infra'>,
): Record<keyof typeof MOONCAKE_PORTS, number> {
  const { rpc, metadata, metrics } = MOONCAKE_PORTS;
  return { rpc: port(infra, rpc), metadata: port(infra, metadata), metrics: port(infra, metrics) };
}

/** The file in which vLLM's Mooncake connector finds the store. */
export const MOONCAKE_CONFIG = 'mooncake_store_config.json';

/** `backend.mooncake_kv_store`, if the engine supports it and the recipe enables it. */
export function mooncakeOf({ backend }: Recipe) {
  return 'mooncake_kv_store' in backend ? (backend.mooncake_kv_store ?? null) : null;
}

/** The master's address for workers. The recipe cannot know it, so it must not set it. */
export function mooncakeEnvironment(context: WorkerContext): Record<string, string> {
  const { recipe, runtime, roles, process } = context;
  const mooncake = mooncakeOf(recipe);
  if (!mooncake) return {};
  const infra = runtime.address(roles.infra);
  const ports = mooncakePorts(runtime, roles);
  return {
    MOONCAKE_LOCAL_HOSTNAME: runtime.address(process.node),
    ...mooncake.env,
    MOONCAKE_MASTER: `${infra}:${ports.rpc}`,
    MOONCAKE_TE_META_DATA_SERVER: `http://${infra}:${ports.metadata}/metadata`,
  };
}

/**
 * A master without users usually means a forgotten transfer option.
 * @throws PlanError when no mode of a disaggregated recipe uses Mooncake
 */
export function requireMooncakeUser(
  recipe: Recipe,
  uses: (mode: 'prefill' | 'decode') => boolean,
  option: string,
): void {
  const { prefill_workers: prefill, decode_workers: decode } = recipe.resources;
  if (!mooncakeOf(recipe) || (!prefill && !decode) || uses('prefill') || uses('decode')) return;
  throw new PlanError('unused-mooncake', 'asks for a Mooncake master that no worker uses', {
    place: { file: '', path: 'backend.mooncake_kv_store' },
    hint: `give prefill and decode workers ${option}`,
  });
}
