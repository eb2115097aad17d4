import type * as z from 'zod';
import type { SourcePlace } from '../../os/errors.ts';
import { without } from '../values/merge.ts';
import { type Path, type Problem, problemsOf } from './problems.ts';
import { keysAt } from './schema-keys.ts';

/** What to do with a problem that need not end the loading. */
export type OnProblem = (problem: Problem) => void;

/**
 * A value by its schema, or what is wrong with it. Unknown keys are told to `onUnknownKey` and passed over; without it
 * they are wrong.
 */
export function parseKnown<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  place: (path: Path) => SourcePlace,
  onUnknownKey: OnProblem | undefined,
): { readonly data: z.infer<Schema> } | { readonly problems: Problem[] } {
  const parsed = schema.safeParse(value, { reportInput: true });
  if (parsed.success) return { data: parsed.data };
  const problems = problemsOf(parsed.error, place, (path) => keysAt(schema, path, value));
  const unknown = onUnknownKey ? problems.filter(({ unknownKey }) => unknownKey) : [];
  if (unknown.length === 0) return { problems };
  for (const problem of unknown) onUnknownKey?.(problem);
  // A kind that has no such key may be another kind, so what is left is looked at anew.
  const rest = unknown.reduce((left, { unknownKey }) => without(left, unknownKey ?? []), value);
  return parseKnown(schema, rest, place, onUnknownKey);
}
