import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  type YAMLMap,
} from 'yaml';
import type { SourcePlace } from '../../os/errors.ts';
import type { Path, Problem } from './problems.ts';

/** The parser reads a merge key (`<<`) as a symbol, and a quoted "<<" as text. */
export const isMergeKey = (key: unknown): boolean => isScalar(key) && typeof key.value === 'symbol';

export const keyName = (key: unknown): string => String(isScalar(key) ? key.value : key);

/** The key and value of `name` in a map, from its merge keys if it has none of its own. */
function pairIn(document: Document, map: YAMLMap, name: string): Pair | undefined {
  const own = map.items.findLast(({ key }) => !isMergeKey(key) && keyName(key) === name);
  if (own) return own;
  for (const { value } of map.items.filter(({ key }) => isMergeKey(key)).reverse()) {
    const merged = targetOf(document, value);
    for (const other of isSeq(merged) ? merged.items : [merged]) {
      const target = targetOf(document, other);
      const found = isMap(target) ? pairIn(document, target, name) : undefined;
      if (found) return found;
    }
  }
  return undefined;
}

const targetOf = (document: Document, node: unknown): unknown =>
  isAlias(node) ? node.resolve(document) : node;

/** A step to `key` of a map or a list: the node that shows its place, and its value. */
function step(
  document: Document,
  node: unknown,
  key: string | number,
): { mark: Node; value: unknown } | undefined {
  const at = targetOf(document, node);
  if (isMap(at)) {
    const pair = pairIn(document, at, String(key));
    return pair && { mark: pair.key as Node, value: pair.value };
  }
  const item = isSeq(at) ? at.items[Number(key)] : undefined;
  return item === undefined ? undefined : { mark: item as Node, value: item };
}

/** The value at `path`; undefined where there is none. */
export function nodeAt(document: Document, path: Path): unknown {
  let node: unknown = document.contents;
  for (const key of path) {
    const next = step(document, node, key);
    if (!next) return undefined;
    node = next.value;
  }
  return node;
}

/** Offset of `path`'s key; for a missing one, of its nearest existing ancestor. */
export function offsetOf(document: Document, path: Path): number | undefined {
  let node: unknown = document.contents;
  let offset = (node as Node | null)?.range?.[0];
  for (const key of path) {
    const next = step(document, node, key);
    if (!next) return offset;
    offset = next.mark.range?.[0] ?? offset;
    node = next.value;
  }
  return offset;
}

/** A problem for each key that stands in its map a second time. */
export function duplicateKeys(document: Document, place: (path: Path, key: Node) => SourcePlace): Problem[] {
  const problems: Problem[] = [];
  const visit = (node: unknown, path: Path): void => {
    if (isSeq(node)) for (const [index, item] of node.items.entries()) visit(item, [...path, index]);
    if (!isMap(node)) return;
    const lines = new Map<string, number | undefined>();
    for (const { key, value } of node.items) {
      const name = keyName(key);
      const at = [...path, name];
      // A quoted "<<" is no merge key.
      const own = isMergeKey(key) ? '<<' : `key ${name}`;
      const here = isNode(key) ? place(at, key) : undefined;
      if (here && lines.has(own)) {
        problems.push({
          message: `the key stands twice in this map, in line ${lines.get(own)} and in line ${here.line}`,
          place: here,
          hint: isMergeKey(key)
            ? 'several maps are merged by a list: <<: [*a, *b]'
            : 'remove one of them; --allow-duplicate-keys takes the last one',
        });
      }
      lines.set(own, here?.line);
      visit(value, at);
    }
  };
  visit(document.contents, []);
  return problems;
}
