import {
  Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  type Node,
  Pair,
  Scalar,
  YAMLMap,
  type YAMLSeq,
} from 'yaml';
import { numberMaps } from '../backends/index.ts';
import { editedRecipe } from './edited.ts';
import type { Edit } from './source/edits.ts';
import { isMergeKey } from './source/nodes.ts';
import type { Path } from './source/problems.ts';
import type { Selector } from './source/selector.ts';
import { type ReadOptions, readYaml } from './source/source.ts';
import { isPlain, type Plain } from './values/merge.ts';
import { expandVariants, type RawVariant } from './variants.ts';

/** A variant as a separate recipe. */
export interface ResolvedText {
  /** As in RawVariant; '' for a recipe without overrides, which keeps the text of its file. */
  readonly variant: string;
  readonly text: string;
}

/**
 * The variants of a recipe file as YAML, in the order and with the comments of the source: those of `base`,
 * and of the override's replacements. Aliases are expanded, because their targets may be elsewhere in the
 * file.
 * @throws RecipeProblems when the file or its overrides are invalid; NoVariant when the selector matches none
 */
export function resolveOverrides(
  file: string,
  text: string,
  { selector, edits = [], reading }: ResolveOptions = {},
): ResolvedText[] {
  const { source, document } = readYaml(file, text, numberMaps, reading);
  return expandVariants(source, selector).map((raw) => ({
    variant: raw.variant,
    text: raw.key === '' && edits.length === 0 ? text : write(document, raw, edits, file),
  }));
}

interface ResolveOptions {
  readonly selector?: Selector | undefined;
  readonly edits?: readonly Edit[];
  readonly reading?: ReadOptions;
}

function write(source: Document, raw: RawVariant, edits: readonly Edit[], file: string): string {
  const recipe = copyMap(raw.key === '' ? source.contents : lastOf(source, 'base'), source);
  if (raw.key !== 'base' && raw.key !== '') {
    const override = copyMap(lastOf(source, raw.key), source);
    merge(recipe, raw.index === undefined ? override : (pick(override, raw.index) as YAMLMap));
  }
  // Checks the paths, and says what each value is.
  const edited = editedRecipe(raw.value, edits, file);
  for (const { path } of edits) editNode(recipe, path, edited);
  const { name } = edited;
  const named = recipe.get('name', true);
  if (isScalar(named)) named.value = name;
  const resolved = new Document(recipe);
  resolved.commentBefore = raw.key === '' ? source.commentBefore : headOf(source);
  if (raw.key === '') resolved.comment = source.comment;
  return resolved.toString({ lineWidth: 0, indentSeq: false });
}

/** The value of a key of the file; of a duplicate one the last. */
const lastOf = ({ contents }: Document, name: string): unknown =>
  isMap(contents) ? contents.items.findLast((pair) => nameOf(pair) === name)?.value : undefined;

/** Writes what `edited` has at `path`, or the nearest map above it that the recipe lacks. */
function editNode(recipe: YAMLMap, path: Path, edited: unknown): void {
  const [key, ...rest] = path;
  if (key === undefined) return;
  const value = isPlain(edited) || Array.isArray(edited) ? (edited as Plain)[key] : undefined;
  const there = recipe.get(key, true);
  if (value === undefined) recipe.delete(key);
  else if (rest.length > 0 && isCollection(there) && !Array.isArray(value))
    editNode(there as YAMLMap, rest, value);
  else recipe.set(key, new Document(value).contents);
}

/** The comment above the first key of a file, with or without an empty line below it. */
function headOf({ commentBefore, contents }: Document): string | null {
  const first = isMap(contents) ? contents.items[0]?.key : null;
  const own = isScalar(first) ? first.commentBefore : null;
  return [commentBefore, contents?.commentBefore, own].filter(Boolean).join('\n') || null;
}

/** A copy of a map without shared nodes: aliases and `<<` are expanded. */
function copyMap(node: unknown, document: Document): YAMLMap {
  const copied = copy(node, document);
  return isMap(copied) ? copied : new YAMLMap();
}

function copy(node: unknown, document: Document): Node {
  if (isAlias(node)) {
    const { commentBefore, comment, spaceBefore } = node;
    return Object.assign(
      copy(node.resolve(document), document),
      drop({ commentBefore, comment, spaceBefore }),
    );
  }
  if (isMap(node)) {
    const map = shell(node);
    for (const pair of node.items) addPair(map, pair, document);
    return commentAtKey(map);
  }
  if (isSeq(node)) {
    const list = shell(node);
    list.items = node.items.map((item) => copy(item, document));
    return list;
  }
  const scalar = isScalar(node) ? (node.clone() as Scalar) : new Scalar(null);
  delete scalar.anchor;
  return scalar;
}

/**
 * The parser assigns a comment before the first key to the map; it belongs to the key, wherever the key
 * moves.
 */
function commentAtKey(map: YAMLMap): YAMLMap {
  const key = map.items[0]?.key;
  if (!isScalar(key) || !map.commentBefore) return map;
  key.commentBefore = [map.commentBefore, key.commentBefore].filter(Boolean).join('\n');
  delete map.commentBefore;
  return map;
}

/** A collection without its items, but with its comments. */
function shell<T extends YAMLMap | YAMLSeq>(node: T): T {
  const empty = node.clone() as T;
  empty.items = [];
  delete empty.anchor;
  return empty;
}

const drop = <T extends object>(values: T): Partial<T> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value != null)) as Partial<T>;

/** Adds a pair to a map; pairs from `<<` are added only when the map lacks the key. */
function addPair(map: YAMLMap, { key, value }: Pair, document: Document): void {
  if (!isMergeKey(key)) {
    const own = map.items.findIndex((item) => nameOf(item) === nameOf({ key }));
    const pair = {
      ...document.createPair(null, null),
      key: copy(key, document),
      value: copy(value, document),
    };
    const made = Object.assign(document.createPair(null, null), pair);
    if (own < 0) map.items.push(made);
    else map.items[own] = made;
    return;
  }
  const merged = copy(value, document);
  for (const other of isSeq(merged) ? merged.items : [merged]) {
    if (!isMap(other)) continue;
    for (const pair of other.items)
      if (!map.items.some((item) => nameOf(item) === nameOf(pair))) map.items.push(pair);
  }
}

const nameOf = ({ key }: { key: unknown }): string => String(isScalar(key) ? key.value : key);

/** As deepMerge for plain values: maps merge key by key, null removes, everything else replaces. */
function merge(target: YAMLMap, override: YAMLMap): void {
  for (const pair of override.items) {
    const at = target.items.findIndex((item) => nameOf(item) === nameOf(pair));
    const there = target.items[at];
    const { value } = pair;
    if (isScalar(value) && value.value === null) {
      if (at >= 0) target.items.splice(at, 1);
    } else if (isMap(value)) {
      const below = isMap(there?.value) ? there.value : shell(value);
      merge(below, value);
      keepComment(there?.key, pair.key);
      if (there) there.value = below;
      else target.items.push(Object.assign(pair, { value: below }));
    } else if (there) {
      keepComment(there.key, pair.key);
      there.value = value;
    } else target.items.push(pair);
  }
}

/** Puts the override's comment for a key below the base's. */
function keepComment(base: unknown, override: unknown): void {
  if (!isScalar(base) || !isScalar(override) || !override.commentBefore) return;
  base.commentBefore = [base.commentBefore, override.commentBefore].filter(Boolean).join('\n');
}

/** The `index`-th element of every list of a zip_override; a list of one applies to all. */
function pick(node: Node, index: number): Node {
  if (isSeq(node)) return (node.items.length === 1 ? node.items[0] : node.items[index]) as Node;
  if (!isMap(node)) return node;
  const picked = shell(node);
  picked.items = node.items.map((pair) => new Pair(pair.key, pick(pair.value as Node, index)));
  return picked;
}
