import type { FileSpec } from '../../messages/spec/process-spec.ts';
import type { EndpointMode } from '../../model/kinds.ts';
import { recipeOf } from '../../model/recipe-of.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import { isPlain } from '../../recipe/values/merge.ts';
import { mooncakeMasterAddress, mooncakeOf } from '../common/mooncake.ts';
import { recipeMode, type WorkerContext } from '../common/protocol.ts';
import type { TrtllmConfig } from './schema.ts';

/** The connector's name, and the module behind it (srt-slurm 2.x, tests/test_trtllm_mooncake_store.py). */
const CONNECTOR = 'mooncake-store';
const MODULE = 'tensorrt_llm._torch.pyexecutor.connectors.mooncake_store';

const isTrtllm = (backend: Recipe['backend']): backend is TrtllmConfig => backend.type === 'trtllm';

/** Whether the workers of a mode are clients of Mooncake's own master, with its store as their connector. */
export function usesStore(recipe: Recipe, mode: EndpointMode): boolean {
  const { backend } = recipeOf(recipe, mode);
  if (!isTrtllm(backend) || !mooncakeOf(recipe)) return false;
  const connector = backend.trtllm_config?.[recipeMode(mode)]?.kv_connector_config;
  if (!isPlain(connector)) return false;
  const { connector: name, connector_module: module } = connector;
  return module == null ? name === CONNECTOR : module === MODULE;
}

/** What a mode does with the store, where the recipe says nothing: decode workers only lend their memory. */
const ROLES: Readonly<Record<EndpointMode, string>> = { prefill: 'both', decode: 'capacity', agg: 'both' };

const fileOf = (mode: EndpointMode): string => `mooncake_store_config_${mode}.json`;

/** The client's settings of a mode: those of the master's `store_config`, and over them the role's own. */
export function storeFiles(context: WorkerContext, servedName: string): FileSpec[] {
  const { recipe, runtime, roles, process } = context;
  const { mode } = process;
  if (!usesStore(recipe, mode)) return [];
  const content = {
    ...{ model_key: servedName, role: ROLES[mode] },
    ...mooncakeOf(recipe)?.store_config,
    ...recipe.roles?.[mode]?.mooncake_store_config,
    master_server_address: mooncakeMasterAddress(recipe, runtime, roles),
  };
  return [{ path: `${runtime.logDir}/${fileOf(mode)}`, content: `${JSON.stringify(content, null, 2)}\n` }];
}

export function storeEnvironment({
  recipe,
  runtime,
  roles,
  process: { mode },
}: WorkerContext): Record<string, string> {
  if (!usesStore(recipe, mode)) return {};
  return {
    MOONCAKE_CONFIG_PATH: `${runtime.logDirInside}/${fileOf(mode)}`,
    MOONCAKE_MASTER: mooncakeMasterAddress(recipe, runtime, roles),
  };
}
