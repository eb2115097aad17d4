import type { EndpointMode } from '../../model/kinds.ts';
import { PlanError } from '../../os/errors.ts';
import type { BackendConfig, BackendType, Recipe } from '../../recipe/schema/schema.ts';
import type { Flags } from '../../recipe/values/values.ts';
import { recipeMode } from './recipe-mode.ts';

/** `backend` of a recipe for the engine that it names. */
export function backendConfig<Type extends BackendType>(recipe: Recipe, type: Type): BackendConfig<Type> {
  const { backend } = recipe;
  if (!isOf(backend, type)) throw new TypeError(`a recipe for ${backend.type}, not for ${type}`);
  return backend;
}

const isOf = <Type extends BackendType>(
  backend: Recipe['backend'],
  type: Type,
): backend is BackendConfig<Type> => backend.type === type;

/**
 * Workers register with Dynamo or are told to their engine's own router; no other router knows them.
 * @throws PlanError for a recipe whose frontend is none of `types`
 */
export function requireFrontend(
  { frontend: { type } }: Recipe,
  engine: string,
  types: readonly string[],
): void {
  if (types.includes(type)) return;
  throw new PlanError('wrong-frontend', `a ${type} frontend has no ${engine} workers`, {
    place: { file: '', path: 'frontend.type' },
    hint: `${types.join(' and ')} ${types.length > 1 ? 'do' : 'does'}`,
  });
}

/**
 * A router may know an engine's aggregated workers, and not how its prefill workers hand over to its decode workers.
 * @throws PlanError for a recipe with such workers and that router
 */
export function requireAggregated({ frontend, resources }: Recipe, engine: string, type: string): void {
  if (frontend.type !== type || (resources.agg_workers ?? 0) > 0) return;
  throw new PlanError('wrong-frontend', `${type} has no prefill and decode workers of ${engine}`, {
    place: { file: '', path: 'frontend.type' },
    hint: 'give it aggregated workers, or use another frontend',
  });
}

/** vllm-router asks prefill workers at their bootstrap port where they are told to transfer by Mooncake's connector. */
export const takesMooncake = ({ frontend: { type, args } }: Recipe): boolean =>
  type === 'vllm-router' && (args['kv-connector'] ?? args.kv_connector) === 'mooncake';

type ByMode = Readonly<Partial<Record<ReturnType<typeof recipeMode>, Flags | null | undefined>>>;

/** Options of a mode; a recipe may spell them with dashes or underscores. */
export function optionsOf(config: ByMode | null | undefined, mode: EndpointMode): Flags {
  const options = Object.entries(config?.[recipeMode(mode)] ?? {});
  return Object.fromEntries(options.map(([name, value]) => [name.replaceAll('_', '-'), value]));
}
