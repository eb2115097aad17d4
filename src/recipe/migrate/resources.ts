import { isScalar, isSeq, type Pair } from 'yaml';
import { isPlain, type Plain } from '../values/merge.ts';
import { commentsIn, joined } from './comments.ts';
import { FIRST_KEYS } from './keys.ts';
import { pairOf, removed, setScalar } from './pairs.ts';
import type { Migrating, Part } from './part.ts';
import { roles, type Taken } from './taken.ts';

export function resources(here: Migrating, part: Part, taken: Taken): void {
  const pair = pairOf(part.map, 'resources');
  const value = part.value.resources;
  if (!pair || !isPlain(value)) return;
  if (!Object.keys(value).some((key) => FIRST_KEYS.resources?.test(key))) return;
  const map = here.anchors.ownMap(pair);
  if (!map) return;
  for (const role of roles) {
    taken.take(role, 'nodes', removed(map, `${role}_nodes`));
    taken.take(role, 'workers', removed(map, `${role}_workers`));
    taken.take(role, 'gpus', removed(map, `gpus_per_${role}`));
    taken.take(role, 'nodes_per_worker', removed(map, `${role}_nodes_per_worker`));
  }
  colocate(here, part, taken.pair('decode', 'nodes'));
  if (map.items.length > 0) return;
  part.map.items = part.map.items.filter((item) => item !== pair || part.kind === 'recipe');
  if (part.kind === 'recipe') return;
  taken.dropped = pair;
  taken.left(joined(commentsIn(pair.key), map.comment));
}

/** No nodes of their own meant that decode workers share those of prefill workers. */
function colocate(here: Migrating, part: Part, pair: Pair | undefined): void {
  const shares = (recipe: Plain | undefined) => {
    const { decode_workers, gpus_per_prefill, gpus_per_decode } = (recipe?.resources ?? {}) as Plain;
    return Number(decode_workers) > 0 && gpus_per_prefill != null && gpus_per_decode != null;
  };
  const set = (node: unknown, recipe: Plain | undefined) => {
    if (!isScalar(node) || node.value !== 0 || !shares(recipe)) return;
    here.anchors.changes(node);
    setScalar(node, 'colocate');
  };
  const value = pair?.value;
  if (isSeq(value))
    for (const [at, item] of value.items.entries()) set(item, part.merged[value.items.length === 1 ? 0 : at]);
  else set(value, part.merged[0]);
}
