export type Plain = Record<string, unknown>;

export const isPlain = (value: unknown): value is Plain =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Merges `override` into `base`: maps merge key by key, null removes a key, everything else replaces. */
export function deepMerge(base: Plain, override: Plain): Plain {
  // A Map, because a key may be called __proto__.
  const merged = new Map(Object.entries(base));
  for (const [key, value] of Object.entries(override)) {
    const below = merged.get(key);
    if (value === null) merged.delete(key);
    else merged.set(key, isPlain(value) ? deepMerge(isPlain(below) ? below : {}, value) : value);
  }
  return Object.fromEntries(merged);
}

/** A copy of `value` without the part at `path`. */
export function without<T>(value: T, path: readonly (string | number)[]): T {
  const [key, ...rest] = path;
  if (key === undefined) return value;
  if (Array.isArray(value)) {
    return value.map((item, index) => (index === key ? without(item, rest) : item)) as T;
  }
  if (!isPlain(value) || !Object.hasOwn(value, key)) return value;
  const { [key]: below, ...others } = value;
  return (rest.length === 0 ? others : { ...value, [key]: without(below, rest) }) as T;
}
