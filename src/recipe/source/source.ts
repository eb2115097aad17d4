import {
  type Alias,
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type Scalar,
  type YAMLMap,
} from 'yaml';
import type { SourcePlace } from '../../os/errors.ts';
import { type Path, pathText, RecipeProblems } from './problems.ts';

/** A YAML file: its plain value, and the place of each part in the file. */
export interface Source {
  readonly file: string;
  readonly value: unknown;
  /** Place of a key (or of its nearest ancestor that exists). */
  place(path: Path): SourcePlace;
  /** Whether the file itself has a value at this path. */
  has(path: Path): boolean;
}

/** @throws RecipeProblems with line and column when the YAML is broken */
export const parseSource = (file: string, text: string, numberMaps: readonly string[] = []): Source =>
  readYaml(file, text, numberMaps).source;

/** Limit of nested brackets, because each costs the parser time and memory, and no recipe has many. */
const DEEPEST = 200;

/**
 * Offset of the bracket that is nested too deeply. Brackets in texts count too; no recipe has enough of them
 * to matter.
 */
function tooDeep(text: string): number | undefined {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === 0x5b || code === 0x7b) {
      if (++depth > DEEPEST) return at;
    } else if ((code === 0x5d || code === 0x7d) && depth > 0) depth--;
  }
  return undefined;
}

/**
 * The same, with the original nodes and comments.
 * @param numberMaps keys of maps whose floats stay numbers, because their values do not become text on a
 * command line
 */
export function readYaml(
  file: string,
  text: string,
  numberMaps: readonly string[] = [],
): { source: Source; document: Document } {
  const deep = tooDeep(text);
  if (deep !== undefined) {
    const before = text.slice(0, deep).split('\n');
    const place = { file, line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
    throw new RecipeProblems(
      [{ message: `has more than ${DEEPEST} brackets within one another`, place }],
      'bad-yaml',
    );
  }
  const lines = new LineCounter();
  const document = parseDocument(text, {
    lineCounter: lines,
    merge: true,
    prettyErrors: false,
    logLevel: 'silent',
  });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  if (document.errors.length > 0) {
    throw new RecipeProblems(
      document.errors.map((error) => ({
        message: `not valid YAML: ${error.message}`,
        place: { file, ...at(error.pos[0]) },
      })),
      'bad-yaml',
    );
  }
  const complain = (node: Node, message: string): never => {
    throw new RecipeProblems([{ message, place: { file, ...at(node.range?.[0] ?? 0) } }], 'bad-yaml');
  };
  const source: Source = {
    file,
    value: plainReader(document, complain, numberMaps)(document.contents, false),
    place(path) {
      const offset = offsetOf(document, path);
      return { file, ...(offset === undefined ? {} : at(offset)), path: pathText(path) };
    },
    has: (path) => path.length > 0 && document.hasIn(path),
  };
  return { source, document };
}

/** Whether floats stay text; 'never' applies to everything below. */
type AsText = boolean | 'never';

/** The kernel takes no argument and no variable of 128 KiB and more (MAX_ARG_STRLEN, execve(2)). */
const LONGEST = 120_000;

/** More than any recipe has: aliases of aliases can expand to a file of any size. */
const MOST_VALUES = 200_000;

/**
 * Converts nodes to plain values. Below a map of engine options or of environment variables a float without a
 * fraction keeps its point ("1.0"), because it becomes text on a command line. Below `numberMaps` it stays a
 * number.
 * @throws RecipeProblems for aliases without a target, with themselves as target, or with too large a target
 */
function plainReader(
  document: Document,
  complain: (node: Node, message: string) => never,
  numberMaps: readonly string[],
) {
  const open = new Set<Node>();
  let values = 0;

  // Cached, because aliases within an alias's target are read repeatedly, and resolving one scans the
  // document.
  const targets = new Map<Alias, Node | undefined>();
  const targetOf = (node: Alias): Node | undefined => {
    if (!targets.has(node)) targets.set(node, node.resolve(document));
    return targets.get(node);
  };
  const alias = (node: Alias, asText: AsText): unknown => {
    const target = targetOf(node);
    if (!target) return complain(node, `has an alias without its anchor &${node.source}`);
    if (open.has(target)) return complain(node, `*${node.source} is inside its own anchor`);
    return read(target, asText);
  };
  const scalar = (node: Scalar, asText: AsText): unknown => {
    const { value, source } = node;
    if (typeof value === 'bigint') return Number(value);
    if (typeof value === 'string') {
      if (value.includes('\0')) complain(node, 'has a NUL character, which no command line can have');
      if (value.length > LONGEST)
        complain(node, `is longer than ${LONGEST} characters, which no command line can have`);
    }
    const isRound = typeof value === 'number' && Number.isInteger(value);
    return asText === true && isRound && /^[^xo]*[.eE]/.test(source ?? '') ? value.toFixed(1) : value;
  };
  const textBelow = (name: string, below: AsText): AsText =>
    below === 'never' || numberMaps.includes(name)
      ? 'never'
      : below || /(_config|environment|^args|^env)$/.test(name);
  // An override may have any name, so its name does not determine the type of its values.
  const belowTop = (name: string): AsText => !/^(zip_)?override_/.test(name) && textBelow(name, false);
  const map = (node: YAMLMap, asText: AsText): unknown => {
    // A Map, because a key may be called __proto__.
    const plain = new Map<string, unknown>();
    for (const { key, value } of node.items) {
      const name = isScalar(key) ? String(key.value) : String(key);
      if (!isMergeKey(key)) {
        plain.set(name, read(value, node === document.contents ? belowTop(name) : textBelow(name, asText)));
        continue;
      }
      const merged = read(value, asText);
      for (const other of Array.isArray(merged) ? merged : [merged])
        for (const [each, below] of Object.entries(other ?? {})) if (!plain.has(each)) plain.set(each, below);
    }
    return Object.fromEntries(plain);
  };
  const read = (node: unknown, asText: AsText): unknown => {
    if (isNode(node) && ++values > MOST_VALUES) complain(node, `has more than ${MOST_VALUES} values`);
    if (isAlias(node)) return alias(node, asText);
    if (isScalar(node)) return scalar(node, asText);
    if (!isCollection(node)) return null;
    open.add(node);
    try {
      return isMap(node) ? map(node, asText) : node.items.map((item) => read(item, asText));
    } finally {
      open.delete(node);
    }
  };
  return read;
}

/** The parser reads a merge key (`<<`) as a symbol, and a quoted "<<" as text. */
export const isMergeKey = (key: unknown): boolean => isScalar(key) && typeof key.value === 'symbol';

/** Offset of `path`'s key; for a missing one, of its nearest existing ancestor. */
function offsetOf(document: Document, path: Path): number | undefined {
  let node: unknown = document.contents;
  let offset = (node as Node | null)?.range?.[0];
  for (const key of path) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key));
      if (!pair) return offset;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(key)];
      if (node === undefined) return offset;
      offset = (node as Node).range?.[0] ?? offset;
    } else return offset;
  }
  return offset;
}
