export type Plain = Record<string, unknown>;

export const isPlain = (value: unknown): value is Plain =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** `override` over `base`: maps merge key by key, null takes a key away, everything else replaces. */
export function deepMerge(base: Plain, override: Plain): Plain {
  const merged: Plain = { ...base };
  for (const [key, value] of Object.entries(override)) {
    const below = merged[key];
    if (value === null) delete merged[key];
    else if (isPlain(value)) merged[key] = deepMerge(isPlain(below) ? below : {}, value);
    else merged[key] = value;
  }
  return merged;
}
