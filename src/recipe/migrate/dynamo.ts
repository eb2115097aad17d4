import { isScalar, YAMLMap } from 'yaml';
import { keyName } from '../source/nodes.ts';
import { isPlain, type Plain } from '../values/merge.ts';
import { commentOnTop, commentsIn, joined, newPair } from './comments.ts';
import { FIRST_NAMES, SOURCE, sourceOf, spread } from './first-recipe.ts';
import { FIRST_KEYS } from './keys.ts';
import { pairOf, rename } from './pairs.ts';
import type { Migrating, Part } from './part.ts';

/** version, wheel, hash and cargo_patches are one `source`. */
export function dynamo(here: Migrating, part: Part): void {
  const pair = pairOf(part.map, 'dynamo');
  const value = part.value.dynamo;
  if (!pair || !isPlain(value)) return;
  const isMoved = (key: string) => FIRST_KEYS.dynamo?.test(key) === true;
  const touches = Object.keys(value).some(
    (key) => isMoved(key) || (key === 'top_of_tree' && part.kind !== 'recipe'),
  );
  if (!touches) return;
  const map = here.anchors.ownMap(pair);
  if (!map) return;
  const wanted = part.merged.map(({ dynamo }) => sourceOf(isPlain(dynamo) ? dynamo : {}));
  if (wanted.some((source) => source === undefined)) {
    here.refuse(part, ['dynamo', 'cargo_patches'], 'needs a commit in the second layout: dynamo.hash');
    return;
  }
  const before = part.kind === 'recipe' ? {} : (sourceOf((here.base.dynamo ?? {}) as Plain) ?? {});
  const names = SOURCE.filter((name) => name in before || wanted.some((source) => source && name in source));
  const moved = map.items.filter(({ key }) => isMoved(keyName(key)));
  const at = moved[0] ? map.items.indexOf(moved[0]) : map.items.length;
  const made = new YAMLMap();
  let unused = moved;
  for (const name of names) {
    const values = wanted.map((source) => source?.[name] ?? null);
    const own = moved.find(({ key }) => keyName(key) === FIRST_NAMES[name]);
    const written = value[FIRST_NAMES[name]];
    const isSame =
      own !== undefined && (part.kind === 'zip' || values[0] === written || Array.isArray(written));
    if (isSame && (part.kind !== 'zip' || values.every((each) => each !== null))) {
      rename(own, name);
      made.items.push(own);
      unused = unused.filter((each) => each !== own);
    } else if (part.kind === 'recipe' || JSON.stringify(values) !== JSON.stringify([before[name] ?? null])) {
      made.items.push(
        newPair(name, here.document.createNode(part.kind === 'zip' ? spread(values) : values[0])),
      );
    }
  }
  const comment = joined(...unused.map(commentsIn));
  map.items = map.items.filter((item) => !moved.includes(item));
  if (made.items.length === 0) {
    const next = map.items[at] ?? pair;
    commentOnTop(next, comment);
    if (map.items.length === 0) map.flow = true;
    return;
  }
  const source = newPair('source', made);
  commentOnTop(source, comment);
  const [first] = made.items;
  if (isScalar(first?.key) && first.key.spaceBefore) {
    delete first.key.spaceBefore;
    if (isScalar(source.key)) source.key.spaceBefore = true;
  }
  map.items.splice(at, 0, source);
}
