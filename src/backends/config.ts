import type { BackendConfig, BackendType, Recipe } from '../recipe/schema.ts';

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
