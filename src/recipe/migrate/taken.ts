import { isMap, isScalar, type Pair, YAMLMap } from 'yaml';
import { joined, newPair } from './comments.ts';
import { pairOf, rename } from './pairs.ts';

/** The kinds of workers. */
export const roles = ['prefill', 'decode', 'agg'] as const;
export type Role = (typeof roles)[number];

/** Keys of a role in the order in which they are written. */
const ROLE_KEYS = ['nodes', 'workers', 'gpus', 'nodes_per_worker', 'env', 'args', 'extra_args', 'kv_events'];

/** What was taken out of the sections of a part: the roles that it is put together to, and what has no place yet. */
export class Taken {
  readonly #pairs = new Map<Role, Map<string, Pair>>();
  comments: string | null = null;
  /** `mooncake_kv_store`, which becomes a service. */
  store: Pair | undefined;
  /** A new `services`. */
  services: Pair | undefined;
  /** A section that became empty: its place. */
  dropped: Pair | undefined;

  take(role: Role, name: string, pair: Pair | undefined): Pair | undefined {
    if (!pair) return undefined;
    rename(pair, name);
    const own = this.#pairs.get(role) ?? new Map<string, Pair>();
    this.#pairs.set(role, own.set(name, pair));
    return pair;
  }

  pair(role: Role, name: string): Pair | undefined {
    return this.#pairs.get(role)?.get(name);
  }

  /** Comments of a section that is gone. */
  left(comment: string | null): void {
    this.comments = joined(this.comments, comment);
  }

  /** New roles; those of a recipe that has some already get the rest of theirs. */
  pairs(there: Pair | undefined): Pair | undefined {
    const map = new YAMLMap();
    for (const role of roles) {
      const own = this.#pairs.get(role);
      if (!own) continue;
      const roleThere = isMap(there?.value) ? pairOf(there.value, role)?.value : undefined;
      if (isMap(roleThere)) {
        roleThere.items.push(...own.values());
        continue;
      }
      const below = new YAMLMap();
      below.items = ROLE_KEYS.flatMap((name) => own.get(name) ?? []);
      const first = below.items[0]?.key;
      if (isScalar(first)) delete first.spaceBefore;
      map.items.push(newPair(role, below));
    }
    if (isMap(there?.value)) there.value.items.push(...map.items);
    return map.items.length > 0 && !there ? newPair('roles', map) : undefined;
  }
}
