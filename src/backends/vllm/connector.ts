import type { EndpointMode } from '../../messages/spec/process-spec.ts';
import { PlanError } from '../../os/errors.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import { type FlagValue, pythonJson } from '../../recipe/values/flags.ts';
import { optionsOf } from '../common/config.ts';
import type { VllmConfig } from './schema.ts';

/** Connectors that a recipe may name, in the form of vLLM's --kv-transfer-config. */
const CONNECTORS: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  nixl: { kv_connector: 'NixlConnector', kv_role: 'kv_both' },
  lmcache: { kv_connector: 'LMCacheConnectorV1', kv_role: 'kv_both' },
  /** LMCache's own server on the node of the worker (services[].type: lmcache-server). */
  'lmcache-mp': {
    kv_connector: 'LMCacheMPConnector',
    kv_connector_module_path: 'lmcache.integration.vllm.lmcache_mp_connector',
    kv_role: 'kv_both',
    kv_connector_extra_config: { 'lmcache.mp.host': 'tcp://localhost', 'lmcache.mp.port': 8750 },
  },
  kvbm: {
    kv_connector: 'DynamoConnector',
    kv_connector_module_path: 'kvbm.vllm_integration.connector',
    kv_role: 'kv_both',
  },
};

/**
 * The configuration of KV transfers as JSON; null for none.
 * @throws PlanError for an unknown connector
 */
export function kvTransferConfig(connector: FlagValue | undefined): string | null {
  if (connector === null || connector === undefined || connector === false) return null;
  if (typeof connector === 'object') return pythonJson(connector);
  const name = String(connector);
  if (['', 'null', 'none'].includes(name.toLowerCase())) return null;
  const known = CONNECTORS[name.toLowerCase()];
  if (known) return pythonJson(known);
  if (name.trimStart().startsWith('{')) return name;
  throw new PlanError('unknown-connector', `"${name}" is not a connector`, {
    place: { file: '', path: 'backend.connector' },
    hint: `${[...Object.keys(CONNECTORS), 'moriio'].join(', ')}, null for none, or the JSON of --kv-transfer-config`,
  });
}

const isVllm = (backend: Recipe['backend']): backend is VllmConfig => backend.type === 'vllm';

/** Whether the workers of a mode use LMCache's own server (`lmcache-mp`). */
export function usesLmcacheServer({ backend }: Recipe, mode: EndpointMode): boolean {
  if (!isVllm(backend)) return false;
  const options = optionsOf(backend.vllm_config, mode);
  if (options['kv-transfer-config'] != null) return false;
  return String(options.connector ?? backend.connector).toLowerCase() === 'lmcache-mp';
}
