import type * as z from 'zod';
import type { Path } from './problems.ts';

interface Shaped {
  readonly _zod: {
    readonly def: {
      readonly type: string;
      readonly innerType?: z.core.$ZodType;
      readonly getter?: () => z.core.$ZodType;
      /** Items of a list, or values of a free map. */
      readonly element?: z.core.$ZodType;
      readonly valueType?: z.core.$ZodType;
      readonly shape?: Readonly<Record<string, z.core.$ZodType>>;
      readonly options?: readonly z.core.$ZodType[];
      readonly in?: z.core.$ZodType;
      readonly discriminator?: string;
    };
  };
}

/**
 * The keys of a schema for the map at `path` of `value`, whose types select among kinds; none for free maps.
 */
export function keysAt(schema: z.core.$ZodType, path: Path, value?: unknown): string[] {
  return descend([schema], path, value).flatMap((at) => {
    const { shape } = (at as unknown as Shaped)._zod.def;
    return shape ? Object.keys(shape) : [];
  });
}

/** Whether the value at `path` is a list. */
export const isListAt = (schema: z.core.$ZodType, path: Path, value?: unknown): boolean =>
  descend([schema], path, value).some((at) => (at as unknown as Shaped)._zod.def.type === 'array');

function descend(schemas: readonly z.core.$ZodType[], path: Path, value: unknown): z.core.$ZodType[] {
  const here = schemas.flatMap((schema) => unwrap(schema, value));
  const [key, ...rest] = path;
  if (key === undefined) return here;
  const below = here.flatMap((schema) => {
    const { shape, element, valueType } = (schema as unknown as Shaped)._zod.def;
    const next = shape ? shape[String(key)] : (element ?? valueType);
    return next ? [next] : [];
  });
  return descend(below, rest, fieldOf(value, key));
}

/** Schemas inside defaults, optionals and unions. */
function unwrap(schema: z.core.$ZodType, value: unknown): z.core.$ZodType[] {
  const { def } = (schema as unknown as Shaped)._zod;
  if (def.innerType) return unwrap(def.innerType, value);
  if (def.getter) return unwrap(def.getter(), value);
  if (def.options)
    return def.options.filter(isKindOf(value, def.discriminator)).flatMap((one) => unwrap(one, value));
  if (def.type === 'pipe' && def.in) return unwrap(def.in, value);
  return [schema];
}

/** Whether a schema of a union is the one that the value's discriminator names. */
const isKindOf = (value: unknown, discriminator: string | undefined) => (schema: z.core.$ZodType) =>
  discriminator === undefined ||
  (schema._zod.propValues?.[discriminator]?.has(fieldOf(value, discriminator) as z.core.util.Primitive) ??
    true);

const fieldOf = (value: unknown, key: string | number): unknown =>
  typeof value === 'object' && value !== null ? (value as Record<string | number, unknown>)[key] : undefined;
