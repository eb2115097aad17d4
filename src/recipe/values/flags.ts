import * as z from 'zod';

const flagScalarSchema = z.union([z.string(), z.number(), z.boolean(), z.null()]);

/** A command-line option's value: true = the bare option, false and null = left out, a map = JSON. */
export const flagValueSchema = z.union([
  flagScalarSchema,
  z.array(flagScalarSchema),
  z.record(z.string(), z.unknown()),
]);
export type FlagValue = z.infer<typeof flagValueSchema>;

export const flagsSchema = z.record(z.string(), flagValueSchema);
export type Flags = z.infer<typeof flagsSchema>;

/**
 * Options of a recipe as arguments. They are sorted, so that the same options make the same command in any
 * order. true is the bare option, false and null omit it, a list gives it several values, a map is JSON.
 * @param negatable options that are on by default: false is their `--no-` form
 */
export function flagsToArgv(flags: Flags, negatable: ReadonlySet<string> = NONE): string[] {
  return Object.keys(flags)
    .sort()
    .flatMap((name) => option(name, flags[name] ?? null, negatable));
}

/** The same for a program whose options have both dashes and underscores: each keeps the recipe's spelling. */
export const verbatimArgv = (flags: Flags): string[] =>
  Object.keys(flags)
    .sort()
    .flatMap((name) => {
      const [flag, ...values] = option(name, flags[name] ?? null, NONE);
      return flag === undefined ? [] : [`--${name}`, ...values];
    });

/** A recipe may write an option's name with underscores, as Python does. */
export const optionName = (name: string): string => name.replaceAll('_', '-');

const NONE: ReadonlySet<string> = new Set();

function option(name: string, value: FlagValue, negatable: ReadonlySet<string>): string[] {
  const flag = optionName(name);
  if (value === false && negatable.has(flag)) return [`--no-${flag}`];
  if (value === null || value === false) return [];
  if (value === true) return [`--${flag}`];
  if (Array.isArray(value)) return [`--${flag}`, ...value.map(String)];
  return [`--${flag}`, typeof value === 'object' ? pythonJson(value) : String(value)];
}

/** JSON with the spaces of Python's json.dumps, because tools compare and log it as text. */
export function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, below]) => `${JSON.stringify(key)}: ${pythonJson(below)}`)
    .join(', ')}}`;
}
