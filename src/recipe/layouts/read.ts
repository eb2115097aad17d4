import * as z from 'zod';
import { backendTypes } from '../../backends/index.ts';
import { benchmarkTypes } from '../../benchmarks/index.ts';
import { frontendTypes } from '../../frontends/index.ts';
import type { SourcePlace } from '../../os/errors.ts';
import { type OnProblem, parseKnown } from '../source/parse-known.ts';
import { nearest, type Path, type Problem } from '../source/problems.ts';
import { isPlain, type Plain, without } from '../values/merge.ts';
import { fromFirst, withRouterName } from './first.ts';
import { layoutOf } from './layout.ts';
import { type Canonical, Moves } from './moves.ts';
import { recipeSchema } from './recipe-schema.ts';
import { fromSecond } from './second.ts';
import { secondSchema, transitionalSchema } from './second-schema.ts';

/** The keys that a recipe may have as it is written, in its layout. */
export function writtenSchemaOf(recipe: Plain): z.ZodType {
  const more = { sweep: z.unknown() };
  if (layoutOf(recipe) !== 'second') return recipeSchema.safeExtend(more);
  return recipe.backend === undefined ? secondSchema.safeExtend(more) : transitionalSchema.safeExtend(more);
}

type PlaceOf = (path: Path) => SourcePlace;

/**
 * Reads a recipe of any layout, after overrides and sweep parameters. What only the second layout has is checked here,
 * because problems are named in the layout in which the recipe is written.
 */
export function readLayout(
  recipe: Plain,
  place: PlaceOf,
  onUnknownKey: OnProblem | undefined,
): Canonical | { readonly problems: readonly Problem[] } {
  const layout = layoutOf(recipe);
  const unknown = unknownTypes(recipe, layout === 'second' ? 'engine' : 'backend', place);
  if (unknown.length > 0) return { problems: unknown };
  if (layout === 'resolved') return { value: withoutSchema(recipe), moves: new Moves() };
  if (layout === 'first') return fromFirst(recipe);
  const dropped: Path[] = [];
  const onUnknown: OnProblem | undefined =
    onUnknownKey &&
    ((problem) => {
      if (problem.unknownKey) dropped.push(problem.unknownKey);
      onUnknownKey(problem);
    });
  const isTransitional = recipe.backend !== undefined;
  const shown = isTransitional ? withRouterName(recipe) : recipe;
  const parsed = parseKnown(isTransitional ? transitionalSchema : secondSchema, shown, place, onUnknown);
  if ('problems' in parsed) return parsed;
  return fromSecond(dropped.reduce((left, path) => without(left, path), shown));
}

const withoutSchema = ({ schema: _, ...recipe }: Plain): Plain => recipe;

/** Reports an unknown kind first and alone, because every key of that kind would be a further error. */
function unknownTypes(recipe: Plain, engine: 'engine' | 'backend', place: PlaceOf): Problem[] {
  const roles = isPlain(recipe.roles) ? Object.entries(recipe.roles) : [];
  const parts: [Path, unknown, readonly string[]][] = [
    [[engine], recipe[engine], backendTypes],
    ...roles.map(([role, spec]): [Path, unknown, readonly string[]] => [
      ['roles', role, 'engine'],
      isPlain(spec) ? spec.engine : undefined,
      backendTypes,
    ]),
    [['frontend'], recipe.frontend, frontendTypes],
    [['benchmark'], recipe.benchmark, benchmarkTypes],
  ];
  return parts.flatMap(([path, part, types]): Problem[] => {
    const isWord = typeof part === 'string' && path.at(-1) === 'engine';
    const type = isWord ? part : typeOf(part);
    if (type === undefined || types.includes(type)) return [];
    const meant = nearest(type, types);
    return [
      {
        message: `unknown ${path.at(-1)} "${type}", known: ${types.join(', ')}`,
        place: place(isWord ? path : [...path, 'type']),
        hint: meant === undefined ? undefined : `did you mean "${meant}"?`,
      },
    ];
  });
}

function typeOf(part: unknown): string | undefined {
  return isPlain(part) && typeof part.type === 'string' ? part.type : undefined;
}
