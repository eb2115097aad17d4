import type * as z from 'zod';
import type { Path } from './problems.ts';

interface Shaped {
  readonly _zod: {
    readonly def: {
      readonly type: string;
      readonly innerType?: z.core.$ZodType;
      readonly shape?: Readonly<Record<string, z.core.$ZodType>>;
      readonly options?: readonly z.core.$ZodType[];
      readonly in?: z.core.$ZodType;
    };
  };
}

/** Keys that a schema knows for the map at `path`; none for free maps. */
export function keysAt(schema: z.core.$ZodType, path: Path): string[] {
  return descend([schema], path).flatMap((at) => {
    const { shape } = (at as unknown as Shaped)._zod.def;
    return shape ? Object.keys(shape) : [];
  });
}

function descend(schemas: readonly z.core.$ZodType[], path: Path): z.core.$ZodType[] {
  const here = schemas.flatMap(unwrap);
  const [key, ...rest] = path;
  if (key === undefined) return here;
  const below = here.flatMap((schema) => {
    const { shape } = (schema as unknown as Shaped)._zod.def;
    const next = shape?.[String(key)];
    return next ? [next] : [];
  });
  return descend(below, rest);
}

/** Schemas behind defaults, optionals and unions. */
function unwrap(schema: z.core.$ZodType): z.core.$ZodType[] {
  const { def } = (schema as unknown as Shaped)._zod;
  if (def.innerType) return unwrap(def.innerType);
  if (def.options) return def.options.flatMap(unwrap);
  if (def.type === 'pipe' && def.in) return unwrap(def.in);
  return [schema];
}
