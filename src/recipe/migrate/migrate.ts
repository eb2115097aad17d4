import { type Document, isMap, isScalar, type Node, type Pair, Scalar, type YAMLMap } from 'yaml';
import { numberMaps } from '../../backends/index.ts';
import { keyName } from '../source/nodes.ts';
import { type Path, type Problem, RecipeProblems } from '../source/problems.ts';
import { type ReadOptions, readYaml, type Source } from '../source/source.ts';
import { isPlain, type Plain } from '../values/merge.ts';
import { expandVariants, OVERRIDE } from '../variants.ts';
import { Anchors } from './anchors.ts';
import { commentOnTop, commentsIn, joined, newPair, settleComments } from './comments.ts';
import { dropDuplicates } from './duplicates.ts';
import { dynamo } from './dynamo.ts';
import { engine } from './engine.ts';
import { hasRole, knobsOf } from './first-recipe.ts';
import { placement, router } from './frontend.ts';
import { FIRST_KEYS } from './keys.ts';
import { pairOf, takeOut } from './pairs.ts';
import type { Migrating, Part } from './part.ts';
import { resources } from './resources.ts';
import { services } from './services.ts';
import { writeLike } from './style.ts';
import { type Role, roles, Taken } from './taken.ts';

/**
 * The text of a recipe file in the second layout: with its comments, order and anchors. A file that is in the
 * second layout already stays as it is.
 * @throws RecipeProblems for all that the second layout cannot say, and for files that are no recipe
 */
export function migrate(file: string, text: string, reading?: ReadOptions): string {
  const { source, document } = readYaml(file, text, numberMaps, reading);
  const { value } = source;
  if (!isPlain(value) || !isMap(document.contents))
    throw new RecipeProblems([{ message: 'a recipe must be a map', place: { file } }]);
  if (!isFirst(value)) return text;
  return new Migration(source, document, document.contents).run(text);
}

/** Whether a YAML file is a recipe of any layout, for directories that have other files too. */
export function isRecipe(file: string, text: string, reading?: ReadOptions): boolean {
  const { value } = readYaml(file, text, numberMaps, reading).source;
  if (!isPlain(value)) return false;
  return 'base' in value ? isPlain(value.base) : 'name' in value && ('model' in value || 'services' in value);
}

function isFirst(file: Plain): boolean {
  if (file.schema !== 2 && !(isPlain(file.base) && file.base.schema === 2)) {
    const parts = 'base' in file ? Object.values(file) : [file];
    return !parts.some(
      (part) => isPlain(part) && ('engine' in part || 'roles' in part) && !('backend' in part),
    );
  }
  return ('base' in file ? Object.values(file) : [file]).some(
    (part) =>
      isPlain(part) &&
      Object.entries(FIRST_KEYS).some(([section, keys]) => {
        const value = part[section];
        return value != null && (!isPlain(value) || Object.keys(value).some((key) => keys.test(key)));
      }),
  );
}

class Migration implements Migrating {
  readonly #source: Source;
  readonly document: Document;
  readonly #root: YAMLMap;
  readonly anchors: Anchors;
  readonly #problems: Problem[] = [];
  readonly base: Plain;
  readonly #parts: readonly Part[];
  /** Roles that some variant has. */
  readonly roles: readonly Role[];
  /** Whether `engine` is a map in every part, because some part sets one of its knobs. */
  readonly engineIsMap: boolean;

  constructor(source: Source, document: Document, root: YAMLMap) {
    this.#source = source;
    this.document = document;
    this.#root = root;
    const value = source.value as Plain;
    const variants = expandVariants(source);
    this.anchors = new Anchors(document);
    this.base = (isPlain(value.base) ? value.base : value) as Plain;
    this.#parts = this.#partsOf(value, variants);
    const all = [this.base, ...this.#parts.flatMap(({ merged }) => merged)];
    this.roles = roles.filter((role) => all.some((recipe) => hasRole(recipe, role)));
    this.engineIsMap = this.#parts.some(({ value: part }) => knobsOf(part).length > 0);
  }

  #partsOf(value: Plain, variants: ReturnType<typeof expandVariants>): Part[] {
    if (!('base' in value)) return [{ key: '', kind: 'recipe', map: this.#root, value, merged: [value] }];
    return this.#root.items.flatMap((pair): Part[] => {
      const key = keyName(pair.key);
      const part = value[key];
      if ((key !== 'base' && !OVERRIDE.test(key)) || !isPlain(part)) return [];
      const map = this.anchors.ownMap(pair);
      if (!map) return [];
      if (key === 'base') return [{ key, kind: 'recipe', map, value: part, merged: [part] }];
      const merged = variants.filter((variant) => variant.key === key).map((variant) => variant.value);
      return [{ key, kind: key.startsWith('zip_') ? 'zip' : 'override', map, value: part, merged }];
    });
  }

  run(text: string): string {
    settleComments(this.document, text);
    dropDuplicates(this.#root);
    for (const part of this.#parts) this.#part(part);
    if (this.#problems.length > 0) throw new RecipeProblems(this.#problems, 'not-migrated');
    this.#declare();
    this.anchors.settle();
    return writeLike(this.document, text);
  }

  refuse(part: Part, path: Path, message: string, hint?: string): void {
    const at = part.key === '' ? path : [part.key, ...path];
    this.#problems.push({ message, place: this.#source.place(at), hint });
  }

  #part(part: Part): void {
    this.anchors.ownRoot(part.map);
    for (const section of ['backend', 'resources', 'infra'])
      if (part.kind !== 'recipe' && part.value[section] === null)
        this.refuse(
          part,
          [section],
          `removes all of "${section}", which is several sections in the second layout`,
          'remove its keys one by one',
        );
    const taken = new Taken();
    const made = engine(this, part, taken);
    resources(this, part, taken);
    services(this, part, taken);
    dynamo(this, part);
    placement(this, part, 'frontend', {
      dedicated: 'dedicated_node',
      placement: 'orchestrator_placement',
    });
    placement(this, part, 'benchmark', {
      dedicated: 'client_dedicated_node',
      placement: 'client_placement',
    });
    router(this, part);
    this.#place(part, made, taken);
  }

  /** Puts engine, roles and services where the sections were from which they came. */
  #place(part: Part, engine: Pair | undefined, taken: Taken): void {
    const { map } = part;
    const made = taken.pairs(isMap(pairOf(map, 'roles')?.value) ? pairOf(map, 'roles') : undefined);
    const { dropped } = taken;
    const added = [engine, made, taken.services].filter((pair) => pair !== undefined);
    const backend = map.items.findIndex((pair) => pair === engine || keyName(pair.key) === 'backend');
    const left = taken.comments;
    if (backend >= 0) {
      const [old] = map.items.splice(backend, 1, ...added);
      const first = added[0];
      if (old && first && first !== old && isScalar(old.key) && isScalar(first.key))
        first.key.spaceBefore = old.key.spaceBefore ?? false;
    } else {
      const resources = map.items.findIndex(({ key }) => keyName(key) === 'resources');
      const at = resources >= 0 ? resources + 1 : this.#placeOf(part, dropped);
      map.items.splice(at, 0, ...added);
    }
    if (!left) return;
    const target = made ?? engine;
    if (target) commentOnTop(target, left);
    else this.#giveTo(map, left);
  }

  #giveTo(map: YAMLMap, comment: string): void {
    const [first] = map.items;
    if (first) commentOnTop(first, comment);
    else map.comment = joined(map.comment, comment);
  }

  /** The place of a section that is gone: as it is written, after the keys before it. */
  #placeOf(part: Part, dropped: Pair | undefined): number {
    if (!dropped) return part.map.items.length;
    const start = (dropped.key as Node).range?.[0] ?? 0;
    const after = part.map.items.findIndex(({ key }) => ((key as Node).range?.[0] ?? 0) > start);
    return after < 0 ? part.map.items.length : after;
  }

  /** `schema: 2` at the top of the file. */
  #declare(): void {
    const root = this.#root;
    const written = [root, ...this.#parts.map(({ map }) => map)].flatMap((map) => {
      const pair = pairOf(map, 'schema');
      return pair ? [{ map, pair }] : [];
    });
    for (const { map, pair } of written) if (map !== root) takeOut(map, pair, commentsIn(pair));
    const own = pairOf(root, 'schema');
    if (own) {
      own.value = new Scalar(2);
      return;
    }
    const [first] = root.items;
    const made = newPair('schema', new Scalar(2));
    // The comment at the top is that of the file.
    if (isScalar(first?.key) && isScalar(made.key)) {
      made.key.commentBefore = first.key.commentBefore ?? null;
      first.key.commentBefore = null;
      delete first.key.spaceBefore;
    }
    root.items.unshift(made);
  }
}
