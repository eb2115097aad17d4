import { isPlain } from '../values/merge.ts';
import type { Path } from './problems.ts';

/**
 * Which floats without a fraction (`1.0`) keep their point as text: those that become a word of a command line or a
 * variable. All others are numbers: settings of srtctl, files of an engine, and maps that become JSON.
 */
export interface Floats {
  /** Names of maps whose values an engine reads from a file. */
  readonly numberMaps: readonly string[];
  /** The roles of the second layout whose `args` are such a map. */
  readonly roles: ReadonlySet<string>;
}

/** Where a value is, as far as its floats are concerned. */
export type Place =
  /** A setting of srtctl. */
  | false
  /** `roles`, and one of them whose args are read from a file. */
  | 'roles'
  | 'role'
  /** The options of an engine by mode. */
  | 'modes'
  /** Options, or variables. */
  | 'options'
  /** The value of one of them, which is JSON where it is a map. */
  | 'value'
  | 'numbers';

/** Whether a float at this place becomes text. */
export const isText = (place: Place): boolean =>
  place === 'modes' || place === 'options' || place === 'value';

export function placeBelow(name: string, place: Place, { numberMaps, roles }: Floats): Place {
  if (place === 'numbers' || place === 'value' || numberMaps.includes(name)) return 'numbers';
  if (place === 'options') return 'value';
  if (place === 'modes') return 'options';
  if (place === 'roles') return roles.has(name) ? 'role' : false;
  if (place === 'role' && name === 'args') return 'numbers';
  if (name === 'roles') return 'roles';
  if (/(environment|^args|^env)$/.test(name)) return 'options';
  return name.endsWith('_config') ? 'modes' : false;
}

/** The same at the top of a file. An override may have any name, so its name says nothing of its values. */
export const belowTop = (name: string, floats: Floats): Place =>
  !/^(zip_)?override_/.test(name) && placeBelow(name, false, floats);

const ROLES = ['prefill', 'decode', 'agg'];

/** @param scalarAt the text or number at a path of a recipe file */
export function floatsOf(numberMaps: readonly string[], scalarAt: (path: Path) => unknown): Floats {
  const isFile = (engine: Path): boolean =>
    [scalarAt(engine), scalarAt([...engine, 'type'])].some((type) =>
      numberMaps.includes(`${String(type)}_config`),
    );
  const roles = ROLES.filter((role) =>
    [[], ['base']].some(
      (at) =>
        isFile([...at, 'engine']) || isFile([...at, 'backend']) || isFile([...at, 'roles', role, 'engine']),
    ),
  );
  return { numberMaps, roles: new Set(roles) };
}

/** The scalar at a path of a plain value. */
export const scalarIn =
  (value: unknown) =>
  (path: Path): unknown => {
    let at: unknown = value;
    for (const key of path) at = isPlain(at) && Object.hasOwn(at, key) ? at[key] : undefined;
    return at;
  };
