import { type Document, isMap, isPair, isScalar, isSeq, type Node, Pair, Scalar, type YAMLMap } from 'yaml';

/** What comes next in a file: a key of a map, or an item of a list. */
interface Next {
  readonly offset: number;
  give(comment: string, spaceBefore: boolean): void;
  readonly own: string;
}

/**
 * Gives each comment to the key below it. The parser leaves comments at the end of a map or a list there, although
 * those that are not indented as its items are belong to the next key, which may move elsewhere.
 */
export function settleComments(document: Document, text: string): void {
  const lines = text.split('\n');
  const starts = lineStarts(text);
  const visit = (node: unknown, next: Next | undefined): void => {
    if (isMap(node)) {
      firstCommentToKey(node);
      for (const [at, pair] of node.items.entries()) {
        const after = node.items[at + 1];
        visit(pair.value, after ? ofPair(after) : next);
      }
    } else if (isSeq(node)) {
      for (const [at, item] of node.items.entries()) {
        const after = node.items[at + 1];
        visit(item, after ? ofItem(after as Node) : next);
      }
    } else return;
    if (node.comment && !node.flow && next) moveToNext(node, next, lines, starts);
  };
  visit(document.contents, undefined);
}

/** The parser gives a comment before the first key to the map. */
function firstCommentToKey(map: YAMLMap): void {
  const key = map.items[0]?.key;
  if (!isScalar(key) || !map.commentBefore || map.flow) return;
  key.commentBefore = joined(map.commentBefore, key.commentBefore);
  map.commentBefore = null;
}

const ofPair = ({ key }: Pair): Next => ({
  offset: (key as Node).range?.[0] ?? 0,
  own: (key as Node).commentBefore ?? '',
  give: (comment, spaceBefore) => addBefore(key as Node, comment, spaceBefore),
});

const ofItem = (item: Node): Next => ({
  offset: item.range?.[0] ?? 0,
  own: item.commentBefore ?? '',
  give: (comment, spaceBefore) => addBefore(item, comment, spaceBefore),
});

function addBefore(node: Node, comment: string, spaceBefore: boolean): void {
  node.commentBefore = joined(comment, node.commentBefore);
  if (spaceBefore) node.spaceBefore = true;
}

function moveToNext(node: { comment?: string | null }, next: Next, lines: string[], starts: number[]): void {
  const line = starts.findLastIndex((start) => start <= next.offset);
  const indent = indentOf(lines[line] ?? '');
  let count = 0;
  let first = line;
  for (let at = line - 1; at >= 0 && /^\s*(#.*)?\r?$/.test(lines[at] ?? ''); at--) {
    if ((lines[at] ?? '').trim() === '') continue;
    if (indentOf(lines[at] ?? '') > indent) break;
    count++;
    first = at;
  }
  count -= commentLines(next.own);
  if (count <= 0) return;
  const own = (node.comment ?? '').split('\n');
  let at = own.length;
  for (let left = count; left > 0 && at > 0; ) if (own[--at] !== '') left--;
  next.give(own.slice(at).join('\n'), (lines[first - 1] ?? 'x').trim() === '');
  const rest = own.slice(0, at).join('\n').replace(/\n+$/, '');
  node.comment = rest === '' ? null : rest;
}

const commentLines = (comment: string): number => comment.split('\n').filter((line) => line !== '').length;

const indentOf = (line: string): number => line.length - line.trimStart().length;

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

/** Comments one below the other. */
export const joined = (...comments: readonly (string | null | undefined)[]): string | null =>
  comments.filter(Boolean).join('\n') || null;

/** All comments of a part that is left out, in their order. */
export function commentsIn(part: unknown): string | null {
  if (isPair(part)) return joined(commentsIn(part.key), commentsIn(part.value));
  const { commentBefore, comment } = (part ?? {}) as Node;
  const items = isMap(part) || isSeq(part) ? part.items.map(commentsIn) : [];
  return joined(commentBefore, ...items, comment);
}

/** Puts comments above a pair, below those that it has. */
export function commentAbove(pair: Pair, comment: string | null): void {
  if (comment && isScalar(pair.key)) pair.key.commentBefore = joined(pair.key.commentBefore, comment);
}

/** Puts comments above a pair and over those that it has. */
export function commentOnTop(pair: Pair, comment: string | null): void {
  if (comment && isScalar(pair.key)) pair.key.commentBefore = joined(comment, pair.key.commentBefore);
}

/** A pair whose key may have comments. */
export const newPair = (name: string, value: unknown): Pair =>
  new Pair<unknown, unknown>(new Scalar(name), value);
