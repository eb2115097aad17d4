import {
  type Alias,
  type Document,
  isAlias,
  isCollection,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  type Node,
  Pair,
  Scalar,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import { isMergeKey, keyName } from '../source/nodes.ts';
import { commentOnTop } from './comments.ts';

/** The anchors and aliases of a document while its parts move. */
export class Anchors {
  readonly #document: Document;
  readonly #targets = new Map<Alias, Node>();
  /** What anchored nodes were before they changed. */
  readonly #before = new Map<Node, Node>();

  constructor(document: Document) {
    this.#document = document;
    const known = new Map<string, Node>();
    const names = new Set<string>();
    eachNode(document.contents, (node) => {
      if (isAlias(node)) {
        const target = known.get(node.source);
        if (target) this.#targets.set(node, target);
      } else if ('anchor' in node && node.anchor) {
        known.set(node.anchor, node);
        // An anchor may be given twice; the parts between would move apart.
        let name = node.anchor;
        for (let number = 2; names.has(name); number++) name = `${node.anchor}_${number}`;
        names.add(name);
        node.anchor = name;
      }
    });
    for (const [alias, target] of this.#targets) alias.source = anchorOf(target) ?? alias.source;
  }

  target(node: unknown): unknown {
    return isAlias(node) ? this.#targets.get(node) : node;
  }

  /** Call it before a node changes, because its aliases mean what it was. */
  changes(node: Node): void {
    if (anchorOf(node) !== undefined && !this.#before.has(node)) this.#before.set(node, this.copy(node));
  }

  /** The map of a pair for changes: aliases and merge keys in it are replaced by copies. */
  ownMap(pair: Pair): YAMLMap | undefined {
    const target = this.target(pair.value);
    if (!isMap(target)) return undefined;
    if (isAlias(pair.value)) {
      const { commentBefore, comment } = pair.value;
      const map = this.copy(target) as YAMLMap;
      commentOnTop(map.items[0] ?? pair, [commentBefore, comment].filter(Boolean).join('\n') || null);
      pair.value = map;
      return map;
    }
    this.changes(target);
    this.#expandMerges(target);
    return target;
  }

  /** The same for the map of a whole recipe. */
  ownRoot(map: YAMLMap): YAMLMap {
    this.changes(map);
    this.#expandMerges(map);
    return map;
  }

  #expandMerges(map: YAMLMap): void {
    const merges = map.items.filter(({ key }) => isMergeKey(key));
    if (merges.length === 0) return;
    const names = new Set(map.items.filter((pair) => !merges.includes(pair)).map(({ key }) => keyName(key)));
    for (const merge of merges.reverse()) {
      const value = this.target(merge.value);
      const added: Pair[] = [];
      for (const item of isSeq(value) ? value.items : [value]) {
        const other = this.copy(this.target(item));
        for (const pair of isMap(other) ? other.items : []) {
          if (names.has(keyName(pair.key))) continue;
          names.add(keyName(pair.key));
          added.push(pair);
        }
      }
      const at = map.items.indexOf(merge);
      map.items.splice(at, 1, ...added);
      const comment = isScalar(merge.key) ? merge.key.commentBefore : null;
      const near = added[0] ?? map.items[at] ?? map.items.at(-1);
      const own = isNode(merge.value) ? merge.value.comment : null;
      if (near) commentOnTop(near, [comment, own].filter(Boolean).join('\n') || null);
    }
  }

  /** A copy without anchors, aliases, merge keys and comments. */
  copy(node: unknown): Node {
    const target = this.target(node);
    if (isMap(target)) {
      const map = withoutItems(target);
      map.items = target.items.map(
        (pair) => new Pair(isMergeKey(pair.key) ? pair.key : this.copy(pair.key), this.copy(pair.value)),
      );
      this.#expandMerges(map);
      return map;
    }
    if (isSeq(target)) {
      const list = withoutItems(target);
      list.items = target.items.map((item) => this.copy(item));
      return list;
    }
    const scalar = isScalar(target) ? (target.clone() as Scalar) : new Scalar(null);
    return bare(scalar);
  }

  /**
   * Makes every alias valid again: one that now stands before its anchor takes its node's place, and one whose
   * node has changed or is gone becomes a copy of what it was.
   */
  settle(): void {
    const here = new Set<Node>();
    eachNode(this.#document.contents, (node) => void here.add(node));
    replaceEach(this.#document.contents, (node) => {
      const target = isAlias(node) ? this.#targets.get(node) : undefined;
      if (!isAlias(node) || !target) return node;
      const before = this.#before.get(target);
      return before || !here.has(target) ? commented(this.copy(before ?? target), node) : node;
    });
    this.#swapEarly();
    this.#dropUnused();
  }

  /** Where an alias precedes its node, the two change places. */
  #swapEarly(): void {
    for (let early = this.#early(); early; early = this.#early()) {
      const { alias, target } = early;
      replaceEach(this.#document.contents, (node) => {
        if (node === alias) return target;
        return node === target ? alias : node;
      });
    }
  }

  #early(): { alias: Alias; target: Node } | undefined {
    const seen = new Set<Node>();
    let found: { alias: Alias; target: Node } | undefined;
    eachNode(this.#document.contents, (node) => {
      seen.add(node);
      if (!isAlias(node) || found) return;
      const target = this.#targets.get(node);
      if (target && !seen.has(target)) found = { alias: node, target };
    });
    return found;
  }

  #dropUnused(): void {
    const used = new Set<string>();
    eachNode(this.#document.contents, (node) => {
      if (isAlias(node)) used.add(node.source);
    });
    eachNode(this.#document.contents, (node) => {
      if (this.#before.has(node) && !used.has(anchorOf(node) ?? '')) delete (node as Scalar).anchor;
    });
  }
}

const anchorOf = (node: Node): string | undefined => (isAlias(node) ? undefined : (node as Scalar).anchor);

function withoutItems<T extends YAMLMap | YAMLSeq>(node: T): T {
  const empty = node.clone() as T;
  empty.items = [];
  return bare(empty);
}

function bare<T extends Node>(node: T): T {
  delete node.commentBefore;
  delete node.comment;
  delete node.spaceBefore;
  delete (node as unknown as Scalar).anchor;
  return node;
}

/** A copy in an alias's place has the alias's comments. */
function commented(copy: Node, { commentBefore, comment }: Alias): Node {
  if (commentBefore) copy.commentBefore = commentBefore;
  if (comment) {
    if (isCollection(copy) && !copy.flow)
      copy.commentBefore = [copy.commentBefore, comment].filter(Boolean).join('\n');
    else copy.comment = comment;
  }
  return copy;
}

/** Every node in the order of the file. */
export function eachNode(node: unknown, visit: (node: Node) => void): void {
  if (isPair(node)) {
    eachNode(node.key, visit);
    eachNode(node.value, visit);
    return;
  }
  if (!isNode(node)) return;
  visit(node);
  if (isMap(node) || isSeq(node)) for (const item of node.items) eachNode(item, visit);
}

/** Replaces nodes within collections. What replaces a node is not visited again. */
function replaceEach(node: unknown, replace: (node: Node) => Node): void {
  const one = (value: unknown): unknown => {
    if (!isNode(value)) return value;
    const made = replace(value);
    if (made === value) replaceEach(value, replace);
    return made;
  };
  if (isMap(node)) for (const pair of node.items) pair.value = one(pair.value);
  if (isSeq(node)) node.items = node.items.map(one);
}
