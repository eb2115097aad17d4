import { PlanError } from '../../os/errors.ts';
import { type FlagValue, pythonJson } from '../../recipe/values/flags.ts';

/** Connectors that a recipe may name, in the form of vLLM's --kv-transfer-config. */
const CONNECTORS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  nixl: { kv_connector: 'NixlConnector', kv_role: 'kv_both' },
  lmcache: { kv_connector: 'LMCacheConnectorV1', kv_role: 'kv_both' },
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
    hint: `${Object.keys(CONNECTORS).join(', ')}, null for none, or the JSON of --kv-transfer-config`,
  });
}
