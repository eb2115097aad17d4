import { isMap, isSeq, type Pair, type YAMLMap, YAMLSeq } from 'yaml';
import { isMergeKey, keyName } from '../source/nodes.ts';
import { commentOnTop, commentsIn } from './comments.ts';

/** Leaves out the keys that did not count, because the same key stands below them. Their comments stay. */
export function dropDuplicates(node: unknown): void {
  if (isSeq(node)) for (const item of node.items) dropDuplicates(item);
  if (!isMap(node)) return;
  // From the end, because a later merge key counts more.
  node.items = node.items.toReversed().filter((pair) => {
    if (isMergeKey(pair.key)) return !mergedInto(node, pair);
    const last = node.items.findLast(({ key }) => !isMergeKey(key) && keyName(key) === keyName(pair.key));
    if (!last || last === pair) return true;
    commentOnTop(last, commentsIn(pair));
    return false;
  });
  node.items.reverse();
  for (const { value } of node.items) dropDuplicates(value);
}

/** Of several merge keys the last one takes precedence: `<<: *a` and `<<: *b` are `<<: [*b, *a]`. */
function mergedInto(map: YAMLMap, pair: Pair): boolean {
  const last = map.items.findLast(({ key }) => isMergeKey(key));
  if (!last || last === pair) return false;
  const list = isSeq(last.value) ? last.value : new YAMLSeq();
  if (list !== last.value) {
    list.flow = true;
    list.items.push(last.value);
    last.value = list;
  }
  const own = isSeq(pair.value) ? pair.value.items : [pair.value];
  list.items.push(...own);
  return true;
}
