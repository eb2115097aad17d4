import { isPlain, type Plain } from '../values/merge.ts';
import { type Canonical, Moves } from './moves.ts';

/** A recipe of the first layout as a canonical one. */
export const fromFirst = ({ schema: _, ...recipe }: Plain): Canonical => ({
  value: withRouterName(recipe),
  moves: new Moves(),
});

/** The first layout calls the SGLang router `sglang`, as do recipes from between the layouts. */
export function withRouterName(recipe: Plain): Plain {
  const { frontend } = recipe;
  if (!isPlain(frontend) || frontend.type !== 'sglang') return recipe;
  return { ...recipe, frontend: { ...frontend, type: 'sglang-router' } };
}
