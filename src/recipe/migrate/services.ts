import { isMap, isScalar, isSeq, type Pair, type YAMLMap, YAMLSeq } from 'yaml';
import { commentAbove, commentsIn, joined, newPair } from './comments.ts';
import { infraReason, servicesOf, spread } from './first-recipe.ts';
import { pairOf, removed, rename, takeOut } from './pairs.ts';
import type { Migrating, Part } from './part.ts';
import type { Taken } from './taken.ts';

/** `infra` and `mooncake_kv_store` are services; a list, so an override has to repeat it. */
export function services(here: Migrating, part: Part, taken: Taken): void {
  const infra = pairOf(part.map, 'infra');
  const { store } = taken;
  const isBased =
    part.kind !== 'recipe' && part.value.services !== undefined && servicesOf(here.base).length > 0;
  if (!infra && !store && !isBased) return;
  for (const recipe of part.merged) {
    const reason = infraReason(recipe);
    if (reason) {
      here.refuse(part, ['infra'], reason);
      return;
    }
  }
  const lists = part.merged.map((recipe) => [
    ...(Array.isArray(recipe.services) ? recipe.services : []),
    ...servicesOf(recipe),
  ]);
  const comment = joined(infra && commentsIn(infra), store && commentsIn(store));
  const written = pairOf(part.map, 'services');
  const isEmpty =
    lists.every((list) => list.length === 0) &&
    (part.kind === 'recipe' || servicesOf(here.base).length === 0);
  if (isEmpty) {
    takeOut(part.map, infra, comment);
    return;
  }
  const pair = written ?? newPair('services', new YAMLSeq());
  if (part.kind === 'recipe') {
    const list = isSeq(pair.value) ? pair.value : new YAMLSeq();
    pair.value = list;
    for (const service of servicesOf(part.merged[0] ?? {})) {
      const node = here.document.createNode(service) as YAMLMap;
      if (store && service.type === 'mooncake-master') keepNodes(here, node, store);
      list.items.push(node);
    }
  } else pair.value = here.document.createNode(part.kind === 'zip' ? spread(lists) : lists[0]);
  const parts = part.kind === 'recipe' ? joined(infra && commentsIn(infra)) : comment;
  commentAbove(pair, parts);
  if (written) takeOut(part.map, infra, null);
  else if (infra) part.map.items.splice(part.map.items.indexOf(infra), 1, pair);
  else taken.services = pair;
  const space = infra?.key;
  if (isScalar(space) && isScalar(pair.key) && !written) pair.key.spaceBefore = space.spaceBefore ?? false;
}

/** Uses the nodes of the recipe, for their comments and form. */
function keepNodes(here: Migrating, service: YAMLMap, store: Pair): void {
  const map = here.anchors.ownMap(store);
  const above = joined(commentsIn(store.key), map?.commentBefore);
  service.commentBefore = above;
  const swap = (holder: YAMLMap | undefined, name: string, from: string) => {
    const own = map && removed(map, from);
    const made = holder && pairOf(holder, name);
    if (!own || !made || !holder) return;
    rename(own, name);
    holder.items.splice(holder.items.indexOf(made), 1, own);
  };
  swap(service, 'container', 'container');
  swap(service, 'args', 'master_extra_args');
  const options = pairOf(service, 'options')?.value;
  swap(isMap(options) ? options : undefined, 'store_config', 'store_config');
  const left = map ? joined(...map.items.map(commentsIn), map.comment) : null;
  service.comment = left;
}
