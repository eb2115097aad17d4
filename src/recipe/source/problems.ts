import { closest, distance } from 'fastest-levenshtein';
import type * as z from 'zod';
import { RecipeError, type SourcePlace } from '../../os/errors.ts';

/** Path in a recipe, as keys and list indices from the root. */
export type Path = readonly (string | number)[];

export interface Problem {
  readonly message: string;
  readonly place: SourcePlace;
  readonly hint?: string | undefined;
  /** Path of the unknown key, when that is the problem. */
  readonly unknownKey?: Path | undefined;
}

/** All problems of a recipe. In one line it shows the first one and the number of others. */
export class RecipeProblems extends RecipeError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[], code = 'bad-recipe') {
    const [first] = problems;
    if (first === undefined) throw new TypeError('an error about no problem');
    super(code, first.message, {
      place: first.place,
      ...(first.hint === undefined ? {} : { hint: first.hint }),
    });
    this.problems = problems;
  }

  override oneLine(): string {
    const more = this.problems.length - 1;
    return super.oneLine() + (more > 0 ? ` (+${more} more: --all-errors)` : '');
  }

  override lines(): string[] {
    return this.problems.map(({ message, place, hint }) =>
      new RecipeError(this.code, message, { place, ...(hint === undefined ? {} : { hint }) }).oneLine(),
    );
  }
}

export const pathText = (path: Path): string =>
  path.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : text === '' ? key : `${text}.${key}`),
    '',
  );

/** The known name that a person most likely meant, if one is similar enough. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined;
  const candidate = closest(name, [...known]);
  return distance(name, candidate) <= Math.max(2, Math.floor(name.length / 3)) ? candidate : undefined;
}

type Issue = z.core.$ZodIssue;

/**
 * Converts zod's issues (parse with `reportInput`, which shows missing values) to sentences for people, each
 * with its place; `known` lists the keys that a map may have.
 */
export function problemsOf(
  error: z.ZodError,
  place: (path: Path) => SourcePlace,
  known: (path: Path) => readonly string[] = () => [],
): Problem[] {
  return slipsFirst(error.issues).flatMap((issue) => problemOf(issue, { place, known }));
}

const isSlip = (issue: Issue): boolean => issue.code === 'unrecognized_keys';

/** Misspelt keys come first, because a misspelt key is also reported as missing. */
const slipsFirst = (issues: readonly Issue[]): Issue[] =>
  [...issues].sort((a, b) => Number(isSlip(b)) - Number(isSlip(a)));

/** Lookups for a path. */
interface Look {
  readonly place: (path: Path) => SourcePlace;
  readonly known: (path: Path) => readonly string[];
}

function problemOf(issue: Issue, look: Look): Problem[] {
  const { place, known } = look;
  const path = issue.path.filter((key) => typeof key !== 'symbol');
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => {
        const meant = nearest(key, known(path));
        return {
          message: 'unknown key',
          place: place([...path, key]),
          hint: meant === undefined ? undefined : `did you mean "${meant}"?`,
          unknownKey: [...path, key],
        };
      });
    case 'invalid_type':
      return [
        {
          message:
            issue.input === undefined
              ? `is missing (${named(issue.expected)})`
              : `must be ${named(issue.expected)}`,
          place: place(path),
        },
      ];
    case 'invalid_value':
      return [{ message: `must be one of ${issue.values.map(String).join(', ')}`, place: place(path) }];
    case 'invalid_union':
      return unionProblems(issue, path, look);
    case 'too_small':
      return [
        {
          message: `must be at least ${issue.minimum}${issue.origin === 'string' ? ' characters' : ''}`,
          place: place(path),
        },
      ];
    case 'too_big':
      return [{ message: `must be at most ${issue.maximum}`, place: place(path) }];
    default:
      return [{ message: issue.message, place: place(path) }];
  }
}

/**
 * A value that fits no kind of a union: when it is of one kind, that kind's problems; otherwise the kinds'
 * names.
 */
function unionProblems(issue: Extract<Issue, { code: 'invalid_union' }>, path: Path, look: Look): Problem[] {
  const inside = issue.errors.find(
    (branch) => branch.length > 0 && branch.every((inner) => inner.path.length > 0 || isSlip(inner)),
  );
  if (inside)
    return slipsFirst(inside).flatMap((inner) =>
      problemOf({ ...inner, path: [...path, ...inner.path] }, look),
    );
  const kinds = [...new Set(issue.errors.flatMap(kindsOf))].map(named);
  return [{ message: `must be ${kinds.join(' or ') || 'something else'}`, place: look.place(path) }];
}

function kindsOf(branch: readonly Issue[]): string[] {
  return branch.flatMap((issue) => {
    if (issue.code === 'invalid_union') return issue.errors.flatMap(kindsOf);
    if (issue.path.length > 0) return [];
    if (issue.code === 'invalid_value') return issue.values.map(String);
    return issue.code === 'invalid_type' ? [issue.expected] : [];
  });
}

const NAMES: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'a map',
  record: 'a map',
  array: 'a list',
  null: 'empty',
};

const named = (expected: string): string => NAMES[expected] ?? expected;
