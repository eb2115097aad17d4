/** A column of a table of lines, with one type; null: the line has no such value. */
export interface Column {
  /** As in CSV: `ttftMs.mean`. */
  readonly name: string;
  readonly type: 'DOUBLE' | 'BOOLEAN' | 'STRING';
  readonly data: readonly (string | number | boolean | null)[];
}

type Cell = string | number | boolean;

/** The columns of lines: numbers where all values are numbers, else text. A list is JSON; a column without values is left out. */
export function columnsOf(lines: readonly object[]): Column[] {
  const rows = lines.map((line) => new Map(cellsOf(line, '')));
  const names = [...new Set(rows.flatMap((row) => [...row.keys()]))];
  return names.map((name) => {
    const cells = rows.map((row) => row.get(name) ?? null);
    const types = new Set(cells.flatMap((cell) => (cell === null ? [] : [typeof cell])));
    const only = types.size === 1 ? [...types][0] : undefined;
    if (only === 'number') return { name, type: 'DOUBLE', data: cells };
    if (only === 'boolean') return { name, type: 'BOOLEAN', data: cells };
    return { name, type: 'STRING', data: cells.map((cell) => (cell === null ? null : String(cell))) };
  });
}

function cellsOf(value: unknown, path: string): [string, Cell][] {
  if (value === null || value === undefined) return [];
  if (typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean')
    return [[path, value]];
  if (Array.isArray(value)) return [[path, JSON.stringify(value)]];
  return Object.entries(value).flatMap(([key, below]) =>
    cellsOf(below, path === '' ? key : `${path}.${key}`),
  );
}
