import { stringify } from 'yaml';
import type { EndpointMode } from '../../model/kinds.ts';

/** What the picker finds its workers by; a recipe must not configure it. */
const DISCOVERY = { type: 'file-discovery', name: 'srtctl-file-discovery' } as const;
/** The pool of all workers; the picker has one. */
export const POOL = 'srtctl';

const ROLES: Readonly<Record<EndpointMode, string>> = { prefill: 'prefill', decode: 'decode', agg: 'both' };

export interface LlmdWorker {
  readonly id: string;
  readonly mode: EndpointMode;
  readonly address: string;
  readonly port: number;
}

interface Plugin {
  readonly type?: string;
  readonly name?: string;
  readonly parameters?: Readonly<Record<string, unknown>> | null;
}

export const pluginsOf = (
  config: Readonly<Record<string, unknown>> | null | undefined,
): readonly Plugin[] => {
  const plugins = config?.plugins;
  return Array.isArray(plugins) ? (plugins as Plugin[]) : [];
};

/** Whether a recipe says itself how the picker finds workers. */
export function configuresDiscovery(config: Readonly<Record<string, unknown>> | null | undefined): boolean {
  const layer = config?.dataLayer;
  return (
    (typeof layer === 'object' && layer !== null && 'discovery' in layer) ||
    pluginsOf(config).some(({ type, name }) => type === DISCOVERY.type || name === DISCOVERY.name)
  );
}

/** The file of workers (llm-d-router, pkg/epp/framework/plugins/datalayer/discovery/file). */
export const endpointsFile = (workers: readonly LlmdWorker[]): string =>
  stringify({
    endpoints: workers.map(({ id, mode, address, port }) => ({
      ...{ name: id, namespace: POOL, address, port: String(port) },
      labels: { 'llm-d.ai/role': ROLES[mode] },
    })),
  });

/** Scorers of llm-d's guide for machines without Kubernetes, with their weights. */
const SCORERS = {
  'queue-scorer': 2,
  'kv-cache-utilization-scorer': 2,
  'prefix-cache-scorer': 3,
  'no-hit-lru-scorer': 2,
} as const;
const OF_DECODE = ['queue-scorer', 'kv-cache-utilization-scorer'] as const;
const DECIDER = 'always-disagg-pd-decider';

function defaultConfig(isDisaggregated: boolean): Record<string, unknown> {
  const weighed = (names: readonly (keyof typeof SCORERS)[]) =>
    names.map((pluginRef) => ({ pluginRef, weight: SCORERS[pluginRef] }));
  const all = Object.keys(SCORERS) as (keyof typeof SCORERS)[];
  const plugins = all.map((type) => ({ type }));
  if (!isDisaggregated) return { plugins, schedulingProfiles: [{ name: 'default', plugins: weighed(all) }] };
  return {
    plugins: [
      ...plugins,
      ...['prefill-filter', 'decode-filter', DECIDER].map((type) => ({ type })),
      { type: 'disagg-profile-handler', parameters: { deciders: { prefill: DECIDER } } },
    ],
    schedulingProfiles: [
      { name: 'prefill', plugins: [{ pluginRef: 'prefill-filter' }, ...weighed(all)] },
      { name: 'decode', plugins: [{ pluginRef: 'decode-filter' }, ...weighed(OF_DECODE)] },
    ],
  };
}

/** The recipe's configuration of the picker, with the workers' file and the place where it has prompts tokenized. */
export function pickerFile(
  given: Readonly<Record<string, unknown>> | null | undefined,
  place: {
    readonly endpoints: string;
    readonly isDisaggregated: boolean;
    readonly renders: string;
    readonly model: string;
  },
): string {
  const config = given ?? defaultConfig(place.isDisaggregated);
  const layer = typeof config.dataLayer === 'object' ? config.dataLayer : {};
  return stringify({
    ...{ apiVersion: 'llm-d.ai/v1alpha1', kind: 'EndpointPickerConfig' },
    ...config,
    plugins: [
      ...pluginsOf(config).map((plugin) => (tokenizes(plugin) ? withRenderer(plugin, place) : plugin)),
      { ...DISCOVERY, parameters: { path: place.endpoints, watchFile: false } },
    ],
    dataLayer: { ...layer, discovery: { pluginRef: DISCOVERY.name } },
  });
}

/** Plugins that have a worker tokenize prompts, and do not say how else. */
const tokenizes = ({ type, parameters }: Plugin): boolean =>
  type === 'token-producer' && !['estimate', 'udsTokenizerConfig'].some((key) => key in (parameters ?? {}));

const withRenderer = (
  plugin: Plugin,
  { renders, model }: { readonly renders: string; readonly model: string },
): Plugin => {
  const own = plugin.parameters?.vllm;
  const vllm = { ...(typeof own === 'object' ? own : {}), url: renders };
  return { ...plugin, parameters: { modelName: model, ...plugin.parameters, vllm } };
};
