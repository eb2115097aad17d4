import { atATime } from '../../os/at-a-time.ts';

/** What is merged: in each source in order. */
interface Dated {
  /** ms since 1970. */
  readonly at: number;
}

interface Head<T> {
  readonly item: T;
  /** Its source's number; items of the same time are in the order of the sources. */
  readonly source: number;
}

/** Sources whose first items are read at a time. */
const AT_ONCE = 64;

/** Merges sources by time. Holds one item of each source, and keeps the order within each. */
export async function* merged<T extends Dated>(
  sources: readonly AsyncIterator<T>[],
): AsyncGenerator<T & { readonly source: number }> {
  const heads: Head<T>[] = [];
  await atATime(AT_ONCE, sources, async (source, number) => {
    const { value, done } = await source.next();
    if (!done) heads.push({ item: value, source: number });
  });
  // The earliest is last, where taking it away costs least.
  heads.sort((a, b) => order(b, a));
  for (;;) {
    const head = heads.pop();
    if (!head) return;
    yield { ...head.item, source: head.source };
    const next = await sources[head.source]?.next();
    if (next && !next.done) insert(heads, { item: next.value, source: head.source });
  }
}

const order = <T extends Dated>(a: Head<T>, b: Head<T>): number =>
  a.item.at - b.item.at || a.source - b.source;

/** Into a list with the earliest last; usually near its end. */
function insert<T extends Dated>(heads: Head<T>[], head: Head<T>): void {
  let [low, high] = [0, heads.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    const there = heads[middle];
    if (there && order(there, head) > 0) low = middle + 1;
    else high = middle;
  }
  heads.splice(low, 0, head);
}
