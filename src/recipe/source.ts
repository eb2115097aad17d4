import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import type { SourcePlace } from '../errors.ts';
import { type Path, pathText, RecipeProblems } from './problems.ts';

/** A YAML file: its plain value, and where in the file each part of it stands. */
export interface Source {
  readonly file: string;
  readonly value: unknown;
  /** Place of a key (or of its nearest ancestor that exists). */
  place(path: Path): SourcePlace;
  /** true when the file itself has something at this path. */
  has(path: Path): boolean;
}

/** @throws RecipeProblems with line and column when the YAML is broken */
export const parseSource = (file: string, text: string): Source => readYaml(file, text).source;

/** The same, with the nodes and comments that it was read from. */
export function readYaml(file: string, text: string): { source: Source; document: Document } {
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
  const source: Source = {
    file,
    value: toPlain(document.contents, document, false),
    place(path) {
      const offset = offsetOf(document, path);
      return { file, ...(offset === undefined ? {} : at(offset)), path: pathText(path) };
    },
    has: (path) => path.length > 0 && document.hasIn(path),
  };
  return { source, document };
}

/** Whether floats stay text; 'never' holds for all that is below. */
type AsText = boolean | 'never';

/**
 * Nodes to plain values. Below a map of engine options or of environment variables a float that has no fraction
 * keeps its point ("1.0"), since it ends as text on a command line. TensorRT-LLM's options end in a file and stay numbers.
 */
function toPlain(node: unknown, document: Document, asText: AsText): unknown {
  if (isAlias(node)) return toPlain(node.resolve(document), document, asText);
  if (isScalar(node)) {
    const { value, source } = node;
    if (typeof value === 'bigint') return Number(value);
    if (
      asText === true &&
      typeof value === 'number' &&
      Number.isInteger(value) &&
      /^[^xo]*[.eE]/.test(source ?? '')
    ) {
      return value.toFixed(1);
    }
    return value;
  }
  if (isSeq(node)) return node.items.map((item) => toPlain(item, document, asText));
  if (!isMap(node)) return null;
  const plain: Record<string, unknown> = {};
  for (const { key, value } of node.items) {
    const name = isScalar(key) ? String(key.value) : String(key);
    if (name === '<<') {
      const merged = toPlain(value, document, asText);
      for (const map of Array.isArray(merged) ? merged : [merged]) Object.assign(plain, { ...map, ...plain });
      continue;
    }
    plain[name] = toPlain(value, document, textBelow(name, asText));
  }
  return plain;
}

const textBelow = (name: string, below: AsText): AsText =>
  below === 'never' || name === 'trtllm_config'
    ? 'never'
    : below || /(_config|environment|^args|^env)$/.test(name);

/** Where the key of `path` starts; for what the file does not have, its nearest ancestor that it has. */
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
