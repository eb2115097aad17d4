import {
  type Alias,
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isScalar,
  LineCounter,
  type Node,
  parseDocument,
  type Scalar,
  type YAMLMap,
} from 'yaml';
import { type SourcePlace, SrtctlError } from '../../os/errors.ts';
import { isPlain } from '../values/merge.ts';
import { belowTop, type Floats, floatsOf, isText, type Place, placeBelow } from './floats.ts';
import { duplicateKeys, isMergeKey, keyName, nodeAt, offsetOf } from './nodes.ts';
import { type Path, type Problem, pathText, RecipeProblems } from './problems.ts';

/** A YAML file: its plain value, and the place of each part in the file. */
export interface Source {
  readonly file: string;
  readonly value: unknown;
  /** Place of a key (or of its nearest ancestor that exists). */
  place(path: Path): SourcePlace;
  /** Whether the file itself has a value at this path. */
  has(path: Path): boolean;
}

export interface ReadOptions {
  /**
   * Called for each key that stands twice in one map; the last one counts then, as in PyYAML; without
   * it they are errors.
   */
  readonly onDuplicateKey?: ((problem: Problem) => void) | undefined;
}

/** @throws RecipeProblems with line and column when the YAML is broken */
export const parseSource = (
  file: string,
  text: string,
  numberMaps: readonly string[] = [],
  options: ReadOptions = {},
): Source => readYaml(file, text, numberMaps, options).source;

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
  { onDuplicateKey }: ReadOptions = {},
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
    // Reported below, with the key and both lines.
    uniqueKeys: false,
    prettyErrors: false,
    // 'silent' would hide that there are several documents.
    logLevel: 'error',
  });
  const at = (offset: number) => {
    const { line, col } = lines.linePos(offset);
    return { line, column: col };
  };
  if (document.errors.length > 0) {
    throw new RecipeProblems(
      document.errors.map((error) => ({
        message: error.code === 'MULTIPLE_DOCS' ? SEVERAL : `not valid YAML: ${error.message}`,
        place: { file, ...at(error.pos[0]) },
      })),
      'bad-yaml',
    );
  }
  const complain = (node: Node, message: string): never => {
    throw new RecipeProblems([{ message, place: { file, ...at(node.range?.[0] ?? 0) } }], 'bad-yaml');
  };
  const duplicates = duplicateKeys(document, (path, node) => ({
    file,
    ...at(node.range?.[0] ?? 0),
    path: pathText(path),
  }));
  if (onDuplicateKey) for (const problem of duplicates) onDuplicateKey(problem);
  else if (duplicates.length > 0) throw new RecipeProblems(duplicates, 'bad-yaml');
  const source: Source = {
    file,
    value: plainReader(
      document,
      complain,
      floatsOf(numberMaps, scalarsOf(document)),
    )(document.contents, false),
    place(path) {
      const offset = offsetOf(document, path);
      return { file, ...(offset === undefined ? {} : at(offset)), path: pathText(path) };
    },
    has: (path) => path.length > 0 && nodeAt(document, path) !== undefined,
  };
  return { source, document };
}

/** The scalar at a path of a document. */
const scalarsOf =
  (document: Document) =>
  (path: Path): unknown => {
    const node = nodeAt(document, path);
    return isScalar(node) ? node.value : undefined;
  };

const SEVERAL =
  'has more than one YAML document, and the second one begins here: a recipe file is one document, so a "---" line splits it into two files';

/**
 * A value from the command line for the value at `path`, typed as in a file. Only a scalar or a list is YAML; a
 * map, and what is not YAML, is text. So "{isl}" stays a placeholder, and a shell command may have any signs.
 */
export function readValue(text: string, path: Path, floats: Floats): unknown {
  if (tooDeep(text) !== undefined) return text;
  const document = parseDocument(text, { uniqueKeys: false, logLevel: 'error' });
  const { contents, errors, warnings, comment, commentBefore } = document;
  const isYaml = errors.length === 0 && warnings.length === 0 && !comment && !commentBefore;
  if (!isYaml || isMap(contents) || isAlias(contents) || contents?.comment || contents?.commentBefore)
    return text;
  const complain = (_: Node, message: string): never => {
    throw new SrtctlError('usage', `the value ${message}`);
  };
  const place = path.reduce<Place>((at, key) => placeBelow(String(key), at, floats), false);
  return plainReader(document, complain, floats)(contents, place);
}

/** The kernel takes no argument and no variable of 128 KiB and more (MAX_ARG_STRLEN, execve(2)). */
const LONGEST = 120_000;

/** More than any recipe has: aliases of aliases can expand to a file of any size. */
const MOST_VALUES = 200_000;

/**
 * Converts nodes to plain values; floats as floats.ts says.
 * @throws RecipeProblems for aliases without a target, with themselves as target, or with too large a target
 */
function plainReader(document: Document, complain: (node: Node, message: string) => never, floats: Floats) {
  const open = new Set<Node>();
  let values = 0;

  // Cached, because aliases within an alias's target are read repeatedly, and resolving one scans the
  // document.
  const targets = new Map<Alias, Node | undefined>();
  const targetOf = (node: Alias): Node | undefined => {
    if (!targets.has(node)) targets.set(node, node.resolve(document));
    return targets.get(node);
  };
  const alias = (node: Alias, place: Place): unknown => {
    const target = targetOf(node);
    if (!target) return complain(node, `has an alias without its anchor &${node.source}`);
    if (open.has(target)) return complain(node, `*${node.source} is inside its own anchor`);
    return read(target, place);
  };
  const scalar = (node: Scalar, place: Place): unknown => {
    const { value, source } = node;
    if (typeof value === 'bigint') return Number(value);
    if (typeof value === 'string') {
      if (value.includes('\0')) complain(node, 'has a NUL character, which no command line can have');
      if (value.length > LONGEST)
        complain(node, `is longer than ${LONGEST} characters, which no command line can have`);
    }
    const isRound = typeof value === 'number' && Number.isInteger(value);
    return isText(place) && isRound && /^[^xo]*[.eE]/.test(source ?? '') ? value.toFixed(1) : value;
  };
  const map = (node: YAMLMap, place: Place): unknown => {
    // A Map, because a key may be called __proto__.
    const plain = new Map<string, unknown>();
    const own = node.items.filter(({ key }) => !isMergeKey(key));
    for (const { key, value } of own) {
      const name = keyName(key);
      plain.set(
        name,
        read(value, node === document.contents ? belowTop(name, floats) : placeBelow(name, place, floats)),
      );
    }
    // Of several merge keys the last one takes precedence, as in PyYAML.
    for (const { key, value } of node.items.filter((pair) => !own.includes(pair)).reverse()) {
      const merged = read(value, place);
      for (const other of Array.isArray(merged) ? merged : [merged]) {
        if (!isPlain(other)) return complain(key as Node, 'a merge key (<<) takes a map or a list of maps');
        for (const [each, below] of Object.entries(other)) if (!plain.has(each)) plain.set(each, below);
      }
    }
    return Object.fromEntries(plain);
  };
  const read = (node: unknown, place: Place): unknown => {
    if (isNode(node) && ++values > MOST_VALUES) complain(node, `has more than ${MOST_VALUES} values`);
    if (isAlias(node)) return alias(node, place);
    if (isScalar(node)) return scalar(node, place);
    if (!isCollection(node)) return null;
    open.add(node);
    try {
      return isMap(node) ? map(node, place) : node.items.map((item) => read(item, place));
    } finally {
      open.delete(node);
    }
  };
  return read;
}
