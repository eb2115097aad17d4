import type { JobContext, Roles } from '../../model/kinds.ts';
import { PlanError } from '../../os/errors.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import { isPlain } from '../../recipe/values/merge.ts';
import { declared } from './discovery.ts';
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

/** How workers use Mooncake's store. */
interface Mooncake {
  readonly container?: string | null | undefined;
  readonly master_extra_args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly store_config?: Readonly<Record<string, unknown>> | null | undefined;
  /** Address of a master that runs already. */
  readonly external?: string | undefined;
}

/** A declared mooncake-master service, else `backend.mooncake_kv_store`; null when the recipe has neither. */
export function mooncakeOf(recipe: Recipe): Mooncake | null {
  const { backend } = recipe;
  const service = declared(recipe, 'mooncake-master');
  if (!service) return 'mooncake_kv_store' in backend ? (backend.mooncake_kv_store ?? null) : null;
  if (!service.enabled) return null;
  const { store_config: store } = service.options;
  return {
    container: service.container,
    master_extra_args: service.args,
    env: {},
    ...(isPlain(store) ? { store_config: store } : {}),
    ...(service.external == null ? {} : { external: service.external }),
  };
}

/** The master's address, `HOST:PORT`. */
export const mooncakeMasterAddress = (
  recipe: Recipe,
  runtime: JobContext,
  roles: Pick<Roles, 'infra'>,
): string =>
  mooncakeOf(recipe)?.external ?? `${runtime.address(roles.infra)}:${mooncakePorts(runtime, roles).rpc}`;

/** Variables by which Mooncake's clients find the master, and its metadata where it is the job's. */
export function mooncakePlaces(
  recipe: Recipe,
  runtime: JobContext,
  roles: Pick<Roles, 'infra'>,
): Record<string, string> {
  const { metadata } = mooncakePorts(runtime, roles);
  return {
    MOONCAKE_MASTER: mooncakeMasterAddress(recipe, runtime, roles),
    ...(mooncakeOf(recipe)?.external === undefined
      ? { MOONCAKE_TE_META_DATA_SERVER: `http://${runtime.address(roles.infra)}:${metadata}/metadata` }
      : {}),
  };
}

/**
 * What a client of Mooncake must know of its own node. Mooncake's transfer engine takes no address of the loopback by
 * itself (0.3.13, transfer_engine_impl.cpp: "not valid LAN address found"), and nodes of this machine have no other.
 */
export const mooncakeHost = (
  { networkInterface, address }: Pick<JobContext, 'networkInterface' | 'address'>,
  node: string,
): Record<string, string> => ({
  MOONCAKE_LOCAL_HOSTNAME: address(node),
  ...(networkInterface === 'lo' ? { MC_TCP_BIND_ADDRESS: address(node) } : {}),
});

/** The master's address for workers. The recipe cannot know it, so it must not set it. */
export function mooncakeEnvironment(context: WorkerContext): Record<string, string> {
  const { recipe, runtime, roles, process } = context;
  const mooncake = mooncakeOf(recipe);
  if (!mooncake) return {};
  return {
    ...mooncakeHost(runtime, process.node),
    ...mooncake.env,
    ...mooncakePlaces(recipe, runtime, roles),
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
    place: { file: '', path: placeOfMaster(recipe) },
    hint: `give prefill and decode workers ${option}`,
  });
}

const placeOfMaster = ({ services }: Recipe): string => {
  const at = services?.findIndex(({ type }) => type === 'mooncake-master') ?? -1;
  return at < 0 ? 'backend.mooncake_kv_store' : `services[${at}]`;
};
