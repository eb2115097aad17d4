import type { ClockOffset, SrtEvent } from '../messages/events/events.ts';

/** Minimum distance between two events with the same time, ms, so that their order stays. */
const STEP_MS = 0.001;
/** Event times are truncated to milliseconds. */
const RESOLUTION_MS = 1;

interface Placed {
  readonly event: SrtEvent;
  /** Position in the file: the order in which events reached the coordinator. */
  readonly arrival: number;
  /** By the coordinator's clock, ms since 1970; null when unknown. */
  readonly at: number | null;
  /** Maximum error of `at`. */
  readonly errorMs: number;
}

const earliestOf = ({ at, errorMs }: Placed): number =>
  at === null ? Number.NEGATIVE_INFINITY : at - errorMs;
const latestOf = ({ at, errorMs }: Placed): number => (at === null ? Number.POSITIVE_INFINITY : at + errorMs);

/**
 * When each event of `wanted` happened by the coordinator's clock, ms since 1970, whatever the nodes' clocks
 * say. Events of one source keep the order of their numbers. Events of different sources are ordered by their
 * times minus the measured clock offset, and by arrival where the error of the offset is too large. The
 * returned times are in that order and differ from each other. A job without a measured offset (from an
 * earlier release) keeps its times unchanged.
 */
export function timesOf(events: readonly SrtEvent[], wanted: readonly SrtEvent[]): Map<SrtEvent, number> {
  const offsets = new Map<string, ClockOffset>();
  for (const event of events) if (event.kind === 'clock.offset') offsets.set(event.of, event);
  const placed = inArrival(events, wanted).map((each) => withTime(each, offsets));
  return stepped(inOrder(monotone(placed)));
}

/** The events of `wanted` with their positions in the file; events that are not in the file come last. */
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
  // An agent may send any time, or none.
  if (Number.isNaN(told)) return { event, arrival, at: null, errorMs: 0 };
  // Coordinators share the job's clock, because each continues that of the previous one.
  if (offsets.size === 0 || event.source.startsWith('coordinator:'))
    return { event, arrival, at: told, errorMs: 0 };
  const offset = offsets.get(event.source);
  if (!offset) return { event, arrival, at: null, errorMs: 0 };
  return { event, arrival, at: told - offset.offsetMs, errorMs: offset.errorMs + RESOLUTION_MS };
}

/** A source's own clock never runs backwards: a later event is at least as late as an earlier one. */
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

/** Repeatedly takes the first event to arrive among those that no remaining event must precede. */
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

/**
 * Strictly increasing times along the order. An unknown time becomes that of the event before it, or of the
 * first known event.
 */
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
