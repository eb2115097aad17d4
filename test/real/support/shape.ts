/** The structure of a body without its values: two programs that answer alike have the same shape. */
export type Shape = string | { readonly [key: string]: Shape } | readonly Shape[];

export interface ShapeOptions {
  /** Paths (`data[].id`) whose values are compared, too; `''` for the whole body. */
  readonly values?: readonly string[];
  /** Paths of objects whose keys are data (ids, addresses): the names of these keys are ignored. */
  readonly keyed?: readonly string[];
  /** Metric families to compare; all unless given. */
  readonly families?: RegExp;
}

/** Objects by key, lists by the distinct shapes of their items, all else by type; `null` is a type. */
export function shapeOf(value: unknown, options: ShapeOptions = {}, path = ''): Shape {
  if (options.values?.includes(path)) return JSON.stringify(value);
  if (value === null) return 'null';
  if (Array.isArray(value)) return distinct(value.map((item) => shapeOf(item, options, `${path}[]`)));
  if (typeof value !== 'object') return typeof value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  const below = (key: string) => (path === '' ? key : `${path}.${key}`);
  if (options.keyed?.includes(path))
    return { '*': distinct(entries.map(([, item]) => shapeOf(item, options, below('*')))) };
  return Object.fromEntries(entries.map(([key, item]) => [key, shapeOf(item, options, below(key))]));
}

/** Sorted, because the order of a list's items may be chance. */
const distinct = (shapes: readonly Shape[]): readonly Shape[] =>
  [...new Map(shapes.map((shape) => [JSON.stringify(shape), shape])).entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, shape]) => shape);

/** A stream's frames without repetitions: `{"a":"string"} ×n` for any number of equal frames in a row. */
export function framesOf(text: string, options: ShapeOptions): string[] {
  const ends = text.includes('\r\n') ? 'CRLF' : 'LF';
  const frames = text
    .split(/\r?\n\r?\n/)
    .filter((frame) => frame.trim() !== '')
    .map((frame) =>
      frame
        .split(/\r?\n/)
        .map((line) => lineOf(line, options))
        .join(' | '),
    );
  const end = /\r?\n\r?\n$/.test(text) ? 'complete' : 'cut off';
  return [ends, ...frames.filter((frame, at) => frame !== frames[at - 1]), end];
}

function lineOf(line: string, options: ShapeOptions): string {
  if (line.startsWith(':')) return `comment${line === ':' ? '' : ' with text'}`;
  const [, field = '', value = ''] = /^([a-z]+): ?(.*)$/s.exec(line) ?? [];
  if (field === '') return `no field: ${line.slice(0, 40)}`;
  if (field !== 'data' || value === '[DONE]') return `${field}: ${value}`;
  const json = parsed(value);
  return `data: ${json === undefined ? 'text' : JSON.stringify(shapeOf(json, options))}`;
}

/**
 * The families of a Prometheus text with their types. Which families exist is part of the shape; their number
 * of lines is not.
 */
export const familiesOf = (text: string, { families = /^/ }: ShapeOptions = {}): string[] =>
  [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)]
    .filter(([, name = '']) => families.test(name))
    .map(([, name, type]) => `${name} ${type}`)
    .sort();

export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
