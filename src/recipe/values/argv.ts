import type { Flags, FlagValue } from './values.ts';

/**
 * Options of a recipe as arguments, sorted, so that the same options make the same command in whatever order they
 * are written: true is the bare option, false and null leave it out, a list gives it several values, a map is JSON.
 * @param negatable options that are not off by default: false is their `--no-` form
 */
export function flagsToArgv(flags: Flags, negatable: ReadonlySet<string> = NONE): string[] {
  return Object.keys(flags)
    .sort()
    .flatMap((name) => option(name, flags[name] ?? null, negatable));
}

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

/** JSON with the spaces that Python's json.dumps writes. Tools compare and log it as text. */
export function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  return `{${Object.entries(value)
    .map(([key, below]) => `${JSON.stringify(key)}: ${pythonJson(below)}`)
    .join(', ')}}`;
}
