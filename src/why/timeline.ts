import type { ClockOffset, SrtEvent } from '../messages/events/events.ts';

/** So far apart are two events at least that have the same time, ms: their order stays. */
const STEP_MS = 0.001;
/** Times of events are cut to milliseconds. */
const RESOLUTION_MS = 1;

interface Placed {
  readonly event: SrtEvent;
  /** Place in the file: the order in which events came to the coordinator. */
  readonly arrival: number;
  /** By the coordinator's clock, ms since 1970; null when it cannot be known. */
  readonly at: number | null;
  /** By how much `at` may be wrong. */
  readonly errorMs: number;
}

const earliestOf = ({ at, errorMs }: Placed): number =>
  at === null ? Number.NEGATIVE_INFINITY : at - errorMs;
const latestOf = ({ at, errorMs }: Placed): number => (at === null ? Number.POSITIVE_INFINITY : at + errorMs);

/**
 * When each of `wanted` happened by the coordinator's clock, ms since 1970, whatever the clocks of the nodes say: events
 * of one source in the order of their numbers, events of different sources by their times less the measured offset of
 * their clocks, and where the error of that does not decide, as they came to the coordinator. The times that are returned
 * are in that order, and none are equal. A job without any measured offset, of an earlier release, is taken at its word.
 */
export function timesOf(events: readonly SrtEvent[], wanted: readonly SrtEvent[]): Map<SrtEvent, number> {
  const offsets = new Map<string, ClockOffset>();
  for (const event of events) if (event.kind === 'clock.offset') offsets.set(event.of, event);
  const placed = inArrival(events, wanted).map((each) => withTime(each, offsets));
  return stepped(inOrder(monotone(placed)));
}

/** Those of `wanted` with their places in the file; what is not in it comes last. */
function inArrival(events: readonly SrtEvent[], wanted: readonly SrtEvent[]) {
  const places = new Map(events.map((event, index) => [event, index]));
  return [...new Set(wanted)]
    .map((event) => ({ event, arrival: places.get(event) ?? events.length }))
    .sort((a, b) => a.arrival - b.arrival);
}

function withTime(
  { event, arrival }: Pick<Placed, 'event' | 'arrival'>,
  offsets: ReadonlyMap<string, ClockOffset>,
): Placed {
  const told = Date.parse(event.at);
  // An agent may say any time, or none.
  if (Number.isNaN(told)) return { event, arrival, at: null, errorMs: 0 };
  // The job's own clock is that of its coordinators, who hand it on.
  if (offsets.size === 0 || event.source.startsWith('coordinator:'))
    return { event, arrival, at: told, errorMs: 0 };
  const offset = offsets.get(event.source);
  if (!offset) return { event, arrival, at: null, errorMs: 0 };
  return { event, arrival, at: told - offset.offsetMs, errorMs: offset.errorMs + RESOLUTION_MS };
}

/** A source's own clock never goes back: what it says of a later event is at least the time of the earlier one. */
function monotone(all: readonly Placed[]): Placed[] {
  const latest = new Map<string, number>();
  return [...all]
    .sort((a, b) => a.event.seq - b.event.seq)
    .map((each) => {
      const { event, at } = each;
      if (at === null) return each;
      const notBefore = Math.max(at, latest.get(event.source) ?? at);
      latest.set(event.source, notBefore);
      return { ...each, at: notBefore };
    })
    .sort((a, b) => a.arrival - b.arrival);
}

/** The next one is always the first to arrive of those that nothing that is left must have come before. */
function inOrder(all: readonly Placed[]): Placed[] {
  const left = new Set(all);
  const byLatest = [...all].sort((a, b) => latestOf(a) - latestOf(b));
  const sources = new Map<string, Placed[]>();
  for (const each of [...all].sort((a, b) => a.event.seq - b.event.seq)) {
    const known = sources.get(each.event.source);
    if (known) known.push(each);
    else sources.set(each.event.source, [each]);
  }
  const ordered: Placed[] = [];
  let first = 0;
  while (left.size > 0) {
    for (let at = byLatest[first]; at && !left.has(at); at = byLatest[first]) first++;
    const bound = byLatest[first];
    const isNext = (each: Placed): boolean =>
      bound !== undefined &&
      earliestOf(each) <= latestOf(bound) &&
      sources.get(each.event.source)?.[0] === each;
    const next = firstOf(left, isNext) ?? firstOf(left, () => true);
    if (!next) break;
    left.delete(next);
    const own = sources.get(next.event.source);
    own?.splice(own.indexOf(next), 1);
    ordered.push(next);
  }
  return ordered;
}

function firstOf<T>(all: Iterable<T>, is: (each: T) => boolean): T | undefined {
  for (const each of all) if (is(each)) return each;
  return undefined;
}

/** Times that grow along the order; one that is not known is that of the event before it, or of the first that is known. */
function stepped(ordered: readonly Placed[]): Map<SrtEvent, number> {
  const known = ordered.findIndex(({ at }) => at !== null);
  const begin = known < 0 ? 0 : (ordered[known]?.at ?? 0);
  let last = begin - (known + 1) * STEP_MS;
  return new Map(
    ordered.map(({ event, at }) => {
      last = Math.max(at ?? last, last + STEP_MS);
      return [event, last];
    }),
  );
}
