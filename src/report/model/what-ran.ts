import * as z from 'zod';
import { differences } from '../../recipe/values/recipe-diff.ts';

/** Recipes of a variant's points, without today's schema: a job of an earlier release stays readable. */
const variantSchema = z.object({
  file: z.string().optional(),
  variant: z.string().optional(),
  edits: z.array(z.string()).optional(),
  points: z.array(
    z.object({
      ordinal: z.number().int().optional(),
      name: z.string().default(''),
      params: z.record(z.string(), z.unknown()).nullish(),
      recipe: z.unknown(),
    }),
  ),
});

export interface PlannedPoint {
  readonly ordinal: number;
  readonly name: string;
  readonly params: Readonly<Record<string, unknown>> | null;
  readonly recipe: unknown;
}

export interface WhatRan {
  readonly file: string | null;
  readonly variant: string;
  readonly edits: readonly string[];
  readonly points: readonly PlannedPoint[];
  /** The first point's recipe, without what differs between points. */
  readonly common: unknown;
  /** Paths whose values differ between points. */
  readonly varied: readonly string[];
}

/** The variant in a job's file; undefined when it is none. */
export function whatRan(variant: unknown): WhatRan | undefined {
  const found = variantSchema.safeParse(variant).data;
  if (!found) return undefined;
  const points = found.points.map(({ ordinal, name, params, recipe }, at) => ({
    ...{ ordinal: ordinal ?? at, name, params: params ?? null, recipe },
  }));
  const first = points[0]?.recipe;
  const varied = [
    ...new Set(points.flatMap(({ recipe }) => differences(first, recipe).map(({ path }) => path))),
  ].filter((path) => path !== 'name' && path !== '');
  return {
    file: found.file ?? null,
    variant: found.variant ?? '',
    edits: found.edits ?? [],
    points,
    common: varied.reduce(without, first),
    varied,
  };
}

/** The values of a recipe at some paths. */
export const valuesAt = (recipe: unknown, paths: readonly string[]): Record<string, unknown> =>
  Object.fromEntries(paths.map((path) => [path, at(recipe, path.split('.'))]));

function at(value: unknown, keys: readonly string[]): unknown {
  const [key, ...rest] = keys;
  if (key === undefined) return value;
  if (!isMap(value)) return undefined;
  // A key may itself contain dots.
  for (let length = keys.length; length > 1; length--) {
    const joined = keys.slice(0, length).join('.');
    if (Object.hasOwn(value, joined)) return at(value[joined], keys.slice(length));
  }
  return at(Object.hasOwn(value, key) ? value[key] : undefined, rest);
}

function without(value: unknown, path: string): unknown {
  const [key = '', ...rest] = path.split('.');
  if (!isMap(value) || !Object.hasOwn(value, key)) return value;
  const { [key]: below, ...others } = value;
  return rest.length === 0 ? others : { ...others, [key]: without(below, rest.join('.')) };
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
