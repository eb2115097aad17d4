import { PlanError } from '../errors.ts';
import type { EndpointMode } from '../plan/kinds.ts';
import type { BackendConfig, BackendType, Recipe } from '../recipe/schema.ts';
import type { Flags } from '../recipe/values.ts';
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

type ByMode = Readonly<Partial<Record<ReturnType<typeof recipeMode>, Flags | null | undefined>>>;

/** Options of a mode; a recipe may spell them with dashes or underscores. */
export function optionsOf(config: ByMode | null | undefined, mode: EndpointMode): Flags {
  const options = Object.entries(config?.[recipeMode(mode)] ?? {});
  return Object.fromEntries(options.map(([name, value]) => [name.replaceAll('_', '-'), value]));
}
