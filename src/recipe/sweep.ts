import { problemOfPlaceholder } from './placeholder-problems.ts';
import { nearest, type Path, problemsOf } from './source/problems.ts';
import { isPlain, type Plain } from './values/merge.ts';
import { PLACEHOLDER } from './values/placeholders.ts';
import { type SweepSettings, sweepSettingsSchema } from './values/sweep-settings.ts';

export interface SweepPoint {
  readonly params: Readonly<Record<string, unknown>> | null;
  readonly value: Plain;
}

/** A problem of the sweep section itself or of a placeholder; `path` is in the variant. */
export class SweepProblem extends Error {
  readonly path: Path;
  constructor(message: string, path: Path) {
    super(message);
    this.path = path;
  }
}

/** Far above the points of any real allocation. */
const MOST_POINTS = 10_000;

/**
 * The points of a variant: every combination of the lists in `sweep` in the order of the recipe, the last one
 * varying fastest; with `mode: zip`, the first of each list, the second of each, and so on.
 */
export function expandSweep(variant: Plain): SweepPoint[] {
  const { sweep, ...value } = variant;
  if (sweep === undefined || sweep === null) return [fill(value, null)];
  if (Array.isArray(sweep)) return pointsOf(sweep).map((params) => fill(value, params));
  if (!isPlain(sweep)) throw new SweepProblem('must be a map of lists, or a list of points', ['sweep']);
  const { mode = 'grid', ...lists } = withoutSettings(sweep);
  if (mode !== 'grid' && mode !== 'zip') throw new SweepProblem('must be grid or zip', ['sweep', 'mode']);
  const parameters = Object.entries(lists).map(([name, list]): [string, unknown[]] => {
    if (!Array.isArray(list) || list.length === 0)
      throw new SweepProblem(`must be a list of at least one value${settingMeant(name)}`, ['sweep', name]);
    return [name, list];
  });
  if (parameters.length === 0) {
    if (Object.keys(sweep).length > 0 && sweep.mode === undefined) return [fill(value, null)];
    throw new SweepProblem('has no parameter', ['sweep']);
  }
  const points = parameters.reduce((product, [, values]) => product * values.length, 1);
  if (mode === 'grid' && points > MOST_POINTS)
    throw new SweepProblem(`makes ${points} points, more than the limit of ${MOST_POINTS}`, ['sweep']);
  return (mode === 'zip' ? zip(parameters) : grid(parameters)).map((params) => fill(value, params));
}

/** A sweep as a list of points, each a map of its parameters. */
function pointsOf(list: readonly unknown[]): Plain[] {
  if (list.length === 0) throw new SweepProblem('has no point', ['sweep']);
  if (list.length > MOST_POINTS)
    throw new SweepProblem(`makes ${list.length} points, more than the limit of ${MOST_POINTS}`, ['sweep']);
  const points = list.map((point, index) => {
    if (isPlain(point) && Object.keys(point).length > 0) return point;
    throw new SweepProblem('must be a map of parameters, such as {tp: 4, nodes: 1}', ['sweep', index]);
  });
  const names = new Set(points.flatMap((point) => Object.keys(point)));
  points.forEach((point, index) => {
    const missing = [...names].find((name) => !Object.hasOwn(point, name));
    if (missing !== undefined)
      throw new SweepProblem(`has no ${missing}, which another point has`, ['sweep', index]);
  });
  return points;
}

/**
 * The settings in a variant's `sweep`. A list is always a parameter, whatever its name.
 * @throws SweepProblem for an unknown setting
 */
export function sweepSettings({ sweep }: Plain): SweepSettings {
  const settings = isPlain(sweep) ? settingsIn(sweep) : {};
  const parsed = sweepSettingsSchema.safeParse(settings, { reportInput: true });
  if (parsed.success) return parsed.data;
  const paths: Path[] = [];
  const [problem] = problemsOf(
    parsed.error,
    (path) => {
      paths.push(path);
      return { file: '' };
    },
    ([name]) => (name === 'on_failure' ? ['retry', 'pause'] : []),
  );
  const hint = problem?.hint === undefined ? '' : ` (${problem.hint})`;
  const message = problem?.message ?? 'is not a setting of a sweep';
  throw new SweepProblem(`${message}${hint}`, ['sweep', ...(paths[0] ?? [])]);
}

const settingNames = [...Object.keys(sweepSettingsSchema.unwrap().shape), 'mode'];

function settingMeant(name: string): string {
  const meant = nearest(name, settingNames);
  return meant === undefined ? '' : ` (or is "${meant}" meant?)`;
}

const isSetting = ([name, value]: [string, unknown]): boolean =>
  Object.hasOwn(sweepSettingsSchema.unwrap().shape, name) && !Array.isArray(value);

const settingsIn = (sweep: Plain): Plain => Object.fromEntries(Object.entries(sweep).filter(isSetting));

const withoutSettings = (sweep: Plain): Plain =>
  Object.fromEntries(Object.entries(sweep).filter((entry) => !isSetting(entry)));

function grid(parameters: readonly [string, unknown[]][]): Record<string, unknown>[] {
  return parameters.reduce<Record<string, unknown>[]>(
    (points, [name, values]) =>
      points.flatMap((point) => values.map((value) => ({ ...point, [name]: value }))),
    [{}],
  );
}

function zip(parameters: readonly [string, unknown[]][]): Record<string, unknown>[] {
  const length = Math.max(...parameters.map(([, values]) => values.length));
  for (const [name, values] of parameters) {
    if (values.length !== length && values.length !== 1) {
      throw new SweepProblem(`has ${values.length} values where another has ${length}`, ['sweep', name]);
    }
  }
  return Array.from({ length }, (_, index) =>
    Object.fromEntries(
      parameters.map(([name, values]) => [name, values.length === 1 ? values[0] : values[index]]),
    ),
  );
}

function fill(value: Plain, params: Record<string, unknown> | null): SweepPoint {
  return { params, value: replace(value, params ?? {}, []) as Plain };
}

/**
 * Replaces `{name}` by values. Text that is exactly a placeholder becomes the value itself, with its type.
 */
function replace(part: unknown, params: Readonly<Record<string, unknown>>, path: Path): unknown {
  if (Array.isArray(part)) return part.map((item, index) => replace(item, params, [...path, index]));
  if (isPlain(part)) {
    return Object.fromEntries(
      Object.entries(part).map(([key, below]) => [
        // The key of a mount is its host directory.
        path[0] === 'container_mounts' ? String(replace(key, params, [...path, key])) : key,
        replace(below, params, [...path, key]),
      ]),
    );
  }
  if (typeof part !== 'string' || !part.includes('{')) return part;
  const whole = /^\{([A-Za-z_]\w*)\}$/.exec(part)?.[1];
  if (whole !== undefined && Object.hasOwn(params, whole)) return params[whole];
  return part.replaceAll(PLACEHOLDER, (text, name: string, at: number) => {
    if (Object.hasOwn(params, name)) return textOf(params[name]);
    const problem = problemOfPlaceholder({ name, text: part, at }, path, Object.keys(params));
    if (problem !== undefined) throw new SweepProblem(problem, path);
    return text;
  });
}

const textOf = (value: unknown): string =>
  Array.isArray(value) ? value.map(String).join(',') : String(value);
