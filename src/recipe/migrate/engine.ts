import { type Pair, Scalar, YAMLMap } from 'yaml';
import { recipeMode } from '../../backends/common/protocol.ts';
import { RENAMED as renamedInSecond } from '../layouts/second-schema.ts';
import { keyName } from '../source/nodes.ts';
import { isPlain } from '../values/merge.ts';
import { commentAbove, commentOnTop, commentsIn, joined, newPair } from './comments.ts';
import { engineTypeOf, valueAt } from './first-recipe.ts';
import { mapOf, pairOf, removed, rename } from './pairs.ts';
import type { Migrating, Part } from './part.ts';
import { roles, type Taken } from './taken.ts';

/** Knobs of engines that have another name in the second layout, by their first one. */
const RENAMED: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(renamedInSecond).map(([second, first]) => [first, second]),
);

/** Takes `backend` apart: what stays is `engine`. */
export function engine(here: Migrating, part: Part, taken: Taken): Pair | undefined {
  const pair = pairOf(part.map, 'backend');
  const isNew = part.kind === 'recipe';
  if (!pair || !isPlain(part.value.backend)) {
    if (!isNew || pairOf(part.map, 'engine')) return undefined;
    const engine = newPair('engine', here.engineIsMap ? mapOf('type', 'sglang') : new Scalar('sglang'));
    if (pair) commentOnTop(engine, commentsIn(pair));
    return engine;
  }
  const map = here.anchors.ownMap(pair) ?? new YAMLMap();
  for (const role of roles) {
    const mode = recipeMode(role);
    taken.take(role, 'env', removed(map, `${mode}_environment`));
    taken.take(role, 'extra_args', removed(map, `${mode}_extra_args`));
  }
  roleOptions(here, part, map, taken);
  kvEvents(here, part, map, taken);
  const store = pairOf(map, 'mooncake_kv_store');
  if (store) mooncakeEnv(here, part, store, taken);
  for (const item of map.items) {
    const name = keyName(item.key);
    if (RENAMED[name] !== undefined) rename(item, RENAMED[name]);
  }
  map.items = map.items.filter((item) => item !== store);
  if (isNew && !pairOf(map, 'type')) map.items.unshift(newPair('type', new Scalar('sglang')));
  if (store) taken.store = store;
  if (map.items.length === 0) {
    taken.left(joined(commentsIn(pair.key), map.commentBefore, map.comment));
    return undefined;
  }
  rename(pair, 'engine');
  const [type] = map.items;
  if (here.engineIsMap || map.items.length > 1 || !type) {
    pair.value = map;
    taken.left(map.comment ?? null);
    map.comment = null;
    return pair;
  }
  commentAbove(pair, joined(map.commentBefore, commentsIn(type.key)));
  taken.left(map.comment ?? null);
  pair.value = type.value;
  return pair;
}

/** `<engine>_config`: a role's options each. */
function roleOptions(here: Migrating, part: Part, map: YAMLMap, taken: Taken): void {
  const types = [...new Set(part.merged.map(engineTypeOf))];
  const before = engineTypeOf(here.base);
  if (types.some((type) => type !== before) && isPlain(valueAt(here.base, 'backend', `${before}_config`))) {
    here.refuse(
      part,
      ['backend', 'type'],
      'changes the engine, but the options of roles are not named after their engine in the second layout: those of base would stay',
      'write a recipe of its own',
    );
    return;
  }
  for (const pair of map.items.filter(({ key }) => /_config$/.test(keyName(key)))) {
    const name = keyName(pair.key);
    if (name === 'kv_events_config') continue;
    if (types.length > 1 || name !== `${types[0]}_config`) {
      here.refuse(part, ['backend', name], `belongs to another engine than ${types.join(' or ')}`);
      continue;
    }
    map.items.splice(map.items.indexOf(pair), 1);
    const options = isPlain(valueAt(part.value, 'backend', name)) ? here.anchors.ownMap(pair) : undefined;
    if (!options) {
      const comment = commentsIn(pair);
      const there = part.kind === 'recipe' ? [] : here.roles;
      for (const role of there) taken.take(role, 'args', newPair('args', new Scalar(null)));
      taken.left(comment);
      continue;
    }
    let above = joined(commentsIn(pair.key), options.commentBefore);
    for (const role of roles) {
      const own = removed(options, recipeMode(role));
      if (!own) continue;
      commentOnTop(own, above);
      above = null;
      taken.take(role, 'args', own);
    }
    taken.left(joined(above, options.comment));
    for (const { key } of options.items)
      here.refuse(part, ['backend', name, keyName(key)], 'is none of prefill, decode and aggregated');
  }
}

/** `kv_events_config`: true for all roles, or a map by mode. */
function kvEvents(here: Migrating, part: Part, map: YAMLMap, taken: Taken): void {
  const pair = removed(map, 'kv_events_config');
  if (!pair) return;
  const value = valueAt(part.value, 'backend', 'kv_events_config');
  const before = part.kind === 'recipe' ? undefined : valueAt(here.base, 'backend', 'kv_events_config');
  if (!isPlain(value)) {
    const comment = commentsIn(pair);
    const isPlainFalse = part.kind === 'recipe' && (value === null || value === undefined);
    const given = isPlainFalse ? [] : here.roles.length > 0 ? here.roles : roles;
    for (const [at, role] of given.entries()) {
      const made = newPair('kv_events', here.anchors.copy(pair.value));
      if (at === 0) commentOnTop(made, comment);
      taken.take(role, 'kv_events', made);
    }
    if (given.length === 0) taken.left(comment);
    return;
  }
  const own = here.anchors.ownMap(pair) ?? new YAMLMap();
  let above = joined(commentsIn(pair.key), own.commentBefore);
  for (const role of roles) {
    const each = removed(own, recipeMode(role));
    if (each) {
      commentOnTop(each, above);
      above = null;
      taken.take(role, 'kv_events', each);
    } else if (before !== undefined && before !== null && !isPlain(before) && here.roles.includes(role)) {
      taken.take(role, 'kv_events', newPair('kv_events', new Scalar(null)));
    }
  }
  taken.left(joined(above, own.comment));
}

/** Environment that the first layout gave to every worker; a role's own values count more. */
function mooncakeEnv(here: Migrating, part: Part, store: Pair, taken: Taken): void {
  const given = valueAt(part.value, 'backend', 'mooncake_kv_store');
  if (!isPlain(given) || !isPlain(given.env)) return;
  if (part.kind === 'zip') {
    here.refuse(
      part,
      ['backend', 'mooncake_kv_store', 'env'],
      'cannot be moved into roles in a zip_override',
    );
    return;
  }
  const map = here.anchors.ownMap(store);
  const pair = map && removed(map, 'env');
  const env = pair && here.anchors.ownMap(pair);
  if (!pair || !env) return;
  const comment = commentsIn(pair);
  for (const role of here.roles) {
    const own = taken.pair(role, 'env') ?? taken.take(role, 'env', newPair('env', new YAMLMap()));
    const target = own && here.anchors.ownMap(own);
    if (!target) continue;
    const merged = part.merged[0];
    const there = merged && valueAt(merged, 'backend', `${recipeMode(role)}_environment`);
    for (const { key, value } of env.items) {
      const name = keyName(key);
      // The plan says these itself.
      if (/^MOONCAKE_(MASTER|TE_META_DATA_SERVER)$/.test(name)) continue;
      if (isPlain(there) && Object.hasOwn(there, name)) continue;
      target.items.push(newPair(name, here.anchors.copy(value)));
    }
  }
  taken.left(comment);
}
