import { isAlias, isScalar, isSeq, Scalar, YAMLMap } from 'yaml';
import { keyName } from '../source/nodes.ts';
import { isPlain, type Plain } from '../values/merge.ts';
import { commentOnTop, commentsIn, joined, newPair } from './comments.ts';
import { spread, valueAt } from './first-recipe.ts';
import { commentsOf, pairOf, setScalar } from './pairs.ts';
import type { Migrating, Part } from './part.ts';

/** A dedicated node and a place on others are one key, `placement.node`. */
export function placement(
  here: Migrating,
  part: Part,
  section: 'frontend' | 'benchmark',
  names: { readonly dedicated: string; readonly placement: string },
): void {
  const { dedicated, placement } = names;
  const pair = pairOf(part.map, section);
  const value = part.value[section];
  if (!pair || !isPlain(value) || !(dedicated in value || placement in value)) return;
  const map = here.anchors.ownMap(pair);
  if (!map) return;
  const nodes = part.merged.map((recipe) => {
    const own = (recipe[section] ?? {}) as Plain;
    if (isPlain(own.placement)) return own.placement.node ?? 'head';
    if (typeof own[dedicated] === 'string') return undefined;
    return own[dedicated] === true ? 'dedicated' : (own[placement] ?? 'head');
  });
  if (nodes.includes(undefined)) {
    here.refuse(
      part,
      [section, dedicated],
      'is a parameter of the sweep, but the second layout has no such switch',
    );
    return;
  }
  const moved = map.items.filter(({ key }) => [dedicated, placement].includes(keyName(key)));
  const at = moved[0] ? map.items.indexOf(moved[0]) : 0;
  map.items = map.items.filter((item) => !moved.includes(item));
  const there = pairOf(map, 'placement');
  const node = part.kind === 'zip' ? spread(nodes) : nodes[0];
  const made = there ?? newPair('placement', here.document.createNode({ node }));
  commentOnTop(made, joined(...moved.map(commentsIn)));
  if (!there) map.items.splice(at, 0, made);
}

/** The router `sglang` has another name; `sglang` is the server itself now. */
export function router(here: Migrating, part: Part): void {
  const pair = pairOf(part.map, 'frontend');
  const type = valueAt(part.value, 'frontend', 'type');
  const given = Array.isArray(type) ? type : [type];
  const parameter = given.map((each) => /^\{(\w+)\}$/.exec(String(each))?.[1]).find(Boolean);
  if (parameter !== undefined) {
    const list = part.merged.flatMap(({ sweep }) => (isPlain(sweep) ? sweep[parameter] : []));
    if (list.includes('sglang'))
      here.refuse(
        part,
        ['frontend', 'type'],
        `takes "sglang" from the sweep, which is "sglang-router" in the second layout`,
      );
  }
  if (!pair || !given.includes('sglang') || 'engine' in here.base) return;
  const own = pairOf(here.anchors.ownMap(pair) ?? new YAMLMap(), 'type');
  if (!own) return;
  const renamed = (node: unknown): unknown => {
    const target = here.anchors.target(node);
    if (!isScalar(target) || target.value !== 'sglang') return node;
    if (isAlias(node)) return Object.assign(new Scalar('sglang-router'), commentsOf(node));
    here.anchors.changes(target);
    return setScalar(target, 'sglang-router');
  };
  if (isSeq(own.value)) own.value.items = own.value.items.map(renamed);
  else own.value = renamed(own.value);
}
