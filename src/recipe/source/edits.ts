import { SrtctlError } from '../../os/errors.ts';
import { isPlain } from '../values/merge.ts';
import { type Path, pathText } from './problems.ts';

/** A change of the command line to every variant of the recipes, before they are checked. */
export interface Edit {
  readonly path: Path;
  /** The value as YAML; undefined removes what is there. */
  readonly yaml?: string | undefined;
  /** The option as it was given: errors show it in place of a line, and a job keeps it. */
  readonly option: string;
}

/** Two shapes of a recipe do not fit together, such as a key below a number. */
export class EditProblem extends Error {}

/** An option as it is shown, such as `--set resources.agg_nodes=2`. */
function parseEdit(option: string): Edit {
  const [, name = '', told = ''] = /^(--\w+) (.*)$/s.exec(option) ?? [];
  const { path, rest } = readPath(told, option);
  if (name === '--unset') {
    if (rest === '') return { path, option };
    throw wrong(option, 'takes a path alone', 'for example --unset health_check.max_attempts');
  }
  if (rest.startsWith('=')) return { path, yaml: rest.slice(1), option };
  throw wrong(option, 'has no value', 'for example --set health_check.max_attempts=720');
}

export const parseEdits = (options: readonly string[]): Edit[] => options.map(parseEdit);

const wrong = (option: string, message: string, hint: string) =>
  new SrtctlError('usage', `${option} ${message}`, { hint });

/** A key up to the next dot, or in quotes, or the index of a list as `.0` or `[0]`. */
const PART = /(?:^|\.)(?:"((?:[^"\\]|\\.)*)"|'((?:[^']|'')*)'|([^.="'[\]][^.=[\]]*))|\[(\d+)\]/y;

function readPath(text: string, option: string): { path: Path; rest: string } {
  const path: (string | number)[] = [];
  const part = new RegExp(PART);
  let end = 0;
  for (let match = part.exec(text); match; match = part.exec(text)) {
    const [, double, single, plain, index] = match;
    if (index !== undefined) path.push(Number(index));
    else path.push(double?.replaceAll(/\\(.)/g, '$1') ?? single?.replaceAll("''", "'") ?? plain ?? '');
    end = part.lastIndex;
  }
  const rest = text.slice(end);
  if (path.length === 0 || !/^(=|$)/.test(rest))
    throw wrong(
      option,
      'has no valid path',
      'keys are separated by dots; a key with a dot or an equals sign is quoted: environment."a.b"=1',
    );
  return { path, rest };
}

/**
 * `value` with something else at `path`; undefined removes it. Maps on the way are made, and a list gets at
 * most one item more.
 * @param isList whether a path that has no value yet takes a list
 * @throws EditProblem where the value on the way is neither a map nor a list
 */
export function withValue(
  value: unknown,
  path: Path,
  made: unknown,
  isList: (path: Path) => boolean,
  at: Path = [],
): unknown {
  const [key, ...rest] = path;
  if (key === undefined) return made;
  const below = (there: unknown): unknown => withValue(there, rest, made, isList, [...at, key]);
  const isRemoved = made === undefined && rest.length === 0;
  const there = value ?? (isList(at) ? [] : {});
  if (Array.isArray(there)) {
    const index = indexOf(key, there, at, made === undefined);
    if (index === undefined) return value;
    return there.toSpliced(index, 1, ...(isRemoved ? [] : [below(there[index])]));
  }
  if (!isPlain(there))
    throw new EditProblem(`${pathText(at)} is ${JSON.stringify(there)} here, and nothing can be below it`);
  if (made === undefined && !Object.hasOwn(there, key)) return value;
  // A Map, because a key may be called __proto__.
  const map = new Map(Object.entries(there));
  if (isRemoved) map.delete(String(key));
  else map.set(String(key), below(Object.hasOwn(there, key) ? there[key] : undefined));
  return Object.fromEntries(map);
}

/** undefined: there is nothing to remove. */
function indexOf(
  key: string | number,
  list: readonly unknown[],
  at: Path,
  removes: boolean,
): number | undefined {
  const index = Number(key);
  const isThere = /^\d+$/.test(String(key)) && index < list.length;
  if (isThere || (!removes && index === list.length)) return index;
  if (removes && /^\d+$/.test(String(key))) return undefined;
  throw new EditProblem(
    `${pathText(at)} is a list of ${list.length} here: ${list.length === 0 ? '' : `0 to ${list.length - 1}, or `}${list.length} for a new item`,
  );
}

/** The last edit that gives the value at `path`, or removed it, or made the map around it. */
export function editOf(edits: readonly Edit[], path: Path): Edit | undefined {
  const startsWith = (long: Path, start: Path) => start.every((key, at) => String(long[at]) === String(key));
  return edits.findLast((edit) => startsWith(path, edit.path));
}
