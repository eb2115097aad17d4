import { isScalar, type Node, type Pair, Scalar, YAMLMap } from 'yaml';
import { keyName } from '../source/nodes.ts';
import { commentOnTop, joined, newPair } from './comments.ts';

export const pairOf = (map: YAMLMap, name: string): Pair | undefined =>
  map.items.find(({ key }) => keyName(key) === name);

export function removed(map: YAMLMap, name: string): Pair | undefined {
  const pair = pairOf(map, name);
  if (pair) map.items.splice(map.items.indexOf(pair), 1);
  return pair;
}

export function rename(pair: Pair, name: string): void {
  if (isScalar(pair.key)) setScalar(pair.key, name);
}

export function setScalar(node: Scalar, value: unknown): Scalar {
  node.value = value;
  delete node.source;
  delete node.format;
  delete node.anchor;
  return node;
}

export const mapOf = (name: string, value: unknown): YAMLMap => {
  const map = new YAMLMap();
  map.items = [newPair(name, new Scalar(value))];
  return map;
};

export const commentsOf = ({ commentBefore, comment }: Node): Pick<Node, 'commentBefore' | 'comment'> => ({
  ...(commentBefore ? { commentBefore } : {}),
  ...(comment ? { comment } : {}),
});

/** Takes a pair out; its comment goes to the next one. */
export function takeOut(map: YAMLMap, pair: Pair | undefined, comment: string | null): void {
  if (!pair) return;
  const at = map.items.indexOf(pair);
  map.items.splice(at, 1);
  const next = map.items[at];
  if (!comment) return;
  if (next) commentOnTop(next, comment);
  else map.comment = joined(map.comment, comment);
}
