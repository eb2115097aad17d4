import { type Candidate, candidatesOf, type Worth } from './candidates.ts';
import type { Signature } from './signatures.ts';

/** The log line that explains a failure. */
export interface ErrorLine {
  readonly text: string;
  readonly signature: Signature | null;
  /**
   * How much the line explains. `origin`: what went wrong; `error`: an error that is not in the catalogue;
   * `echo`: another process has failed; `last`: only the last line of the log.
   */
  readonly weight: 'origin' | 'error' | 'echo' | 'last';
}

/** This much ordinary work between two errors shows that the program survived the first. */
const SURVIVED = 12;
/** This much ordinary work after an error shows that it did not end the program. */
const FORGOTTEN: Readonly<Record<Worth, number>> = { fault: 200, death: 200, sign: 40, error: 40, echo: 40 };

/**
 * Picks the line that explains a failure. Errors close to each other belong to one event, and its first fault
 * explains it. The last event with a fault counts, because the program survived the others.
 */
export function errorLine(log: string, signatures: readonly Signature[]): ErrorLine | undefined {
  const { candidates, work, last } = candidatesOf(log, signatures);
  const matter = candidates.filter((each) => work - each.work <= FORGOTTEN[each.worth]);
  const found =
    ofFaults(lastEvent(matter, ['fault', 'death']), matter) ??
    lastEvent(matter, ['sign'])[0] ??
    lastEvent(matter, ['error'])[0] ??
    matter.find(({ signature }) => !signature?.general) ??
    matter[0];
  if (found) return { text: found.text, signature: found.signature, weight: weightOf(found) };
  return last === undefined ? undefined : { text: last, signature: null, weight: 'last' };
}

/** The last candidate of the given worths, and those before it with little work in between. */
function lastEvent(candidates: readonly Candidate[], worths: readonly Worth[]): Candidate[] {
  const event: Candidate[] = [];
  for (const each of candidates.filter(({ worth }) => worths.includes(worth)).reverse()) {
    const next = event[0];
    if (next && next.work - each.work > SURVIVED) break;
    event.unshift(each);
  }
  return event;
}

/**
 * The first fault of an event. A known fault is better than an unknown one, unless the same process was
 * already failing with the unknown one.
 */
function ofFaults(event: readonly Candidate[], all: readonly Candidate[]): Candidate | undefined {
  const faults = event.filter(({ worth }) => worth === 'fault');
  const failing = new Set<string>();
  let general: Candidate | undefined;
  for (const each of faults) {
    if (each.signature?.general) general ??= each;
    else if (each.signature && !failing.has(each.source)) return asEcho(each, all);
    else failing.add(each.source);
  }
  const [first] = faults;
  return first && !first.signature ? first : (general ?? first ?? event[0]);
}

/** Catalogue entries that may also match a broken connection whose other end has failed. */
const CONNECTIONS = ['infiniband', 'nccl-system', 'nccl-warn'];

/**
 * NCCL warns of a broken connection first; when it then reports that the other end is gone, the warning is an
 * echo.
 */
function asEcho(warning: Candidate, all: readonly Candidate[]): Candidate {
  if (!/\bNCCL WARN\b/.test(warning.text) || !CONNECTIONS.includes(warning.signature?.id ?? ''))
    return warning;
  const gone = all.find(
    ({ worth, signature, work }) => worth === 'echo' && signature?.id === 'nccl-peer' && work >= warning.work,
  );
  return gone ? { ...warning, signature: gone.signature, worth: 'echo' } : warning;
}

function weightOf({ worth, signature }: Candidate): ErrorLine['weight'] {
  if (worth === 'echo') return 'echo';
  return signature?.kind === 'origin' ? 'origin' : 'error';
}
