import type * as z from 'zod';
import type { SourcePlace } from '../../os/errors.ts';
import { without } from '../values/merge.ts';
import { type Path, type Problem, problemsOf } from './problems.ts';
import { keysAt } from './schema-keys.ts';

/** Handles a problem that need not end the loading. */
export type OnProblem = (problem: Problem) => void;

/**
 * Parses a value with its schema, or reports its problems. `onUnknownKey` gets unknown keys, which are then
 * ignored; without it they are errors.
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
  // Parses the rest again, because another kind may fit without the unknown keys.
  const rest = unknown.reduce((left, { unknownKey }) => without(left, unknownKey ?? []), value);
  return parseKnown(schema, rest, place, onUnknownKey);
}
