import type { EndpointMode } from '../../model/kinds.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import { type Flags, optionName } from '../../recipe/values/flags.ts';
import { recipeMode } from './protocol.ts';

/** Parses a recipe's `backend` with the schema of the engine `type`; only for recipes of that engine. */
export const configReader =
  <Config extends Recipe['backend']>(type: Config['type']) =>
  ({ backend }: Recipe): Config => {
    const isOwn = (config: Recipe['backend']): config is Config => config.type === type;
    if (!isOwn(backend)) throw new TypeError(`a recipe for ${backend.type}, not for ${type}`);
    return backend;
  };

/** vllm-router contacts the bootstrap port of prefill workers that transfer with Mooncake's connector. */
export const takesMooncake = ({ frontend: { type, args } }: Recipe): boolean =>
  type === 'vllm-router' && (args['kv-connector'] ?? args.kv_connector) === 'mooncake';

type ByMode = Readonly<Partial<Record<ReturnType<typeof recipeMode>, Flags | null | undefined>>>;

/** Options of a mode; a recipe may spell them with dashes or underscores. */
export function optionsOf(config: ByMode | null | undefined, mode: EndpointMode): Flags {
  const options = Object.entries(config?.[recipeMode(mode)] ?? {});
  return Object.fromEntries(options.map(([name, value]) => [optionName(name), value]));
}
