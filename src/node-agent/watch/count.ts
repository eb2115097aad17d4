import * as z from 'zod';
import type { JsonCount } from '../../messages/spec/probe-spec.ts';

/** Maximum number of addresses in one message. */
const MOST_NAMED = 4;

/** Whether an answer is right, and the message for people: `3 of 6 prefill workers`. */
export interface Verdict {
  readonly ok: boolean;
  readonly detail: string;
}

const element = z.record(z.string(), z.unknown());

/** undefined for text that is not JSON. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The value at keys from the root of a JSON value; a number is a position in a list. */
export function valueAt(body: unknown, keys: readonly string[]): unknown {
  let at = body;
  for (const key of keys) at = Array.isArray(at) ? at[Number(key)] : element.safeParse(at).data?.[key];
  return at;
}

/**
 * `HOST:PORT` of an address as routers write it: `http://HOST:PORT`, `HOST:PORT/INSTANCE/ENDPOINT`,
 * `http://HOST:PORT@RANK`.
 */
export const addressIn = (text: string): string =>
  text
    .replace(/^[a-z][a-z0-9+.-]*:\/\//i, '')
    .replace(/\/.*$/s, '')
    .replace(/@\d+$/, '');

/** Checks a JSON text against counts: missing entries, surplus entries, and strangers. */
export function countAll(
  text: string,
  expect: readonly JsonCount[],
  phase: 'startup' | 'liveness' = 'startup',
): Verdict {
  const body = parsed(text);
  if (body === undefined) return { ok: false, detail: 'the answer is not JSON' };
  const counts = expect.map((count) =>
    countOne(entriesOf(body, count), phase === 'liveness' ? loosened(count) : count),
  );
  const wrong = new Set(counts.flatMap(({ wrong: what }) => what));
  return {
    ok: counts.every(({ ok }) => ok),
    detail: [
      counts
        .map(({ detail }) => detail)
        .filter((detail) => detail !== '')
        .join(', '),
      ...wrong,
    ].join('; '),
  };
}

interface Counted extends Verdict {
  /** Problems of the answer. */
  readonly wrong: readonly string[];
}

/** Only strangers are wrong. */
function loosened(count: JsonCount): JsonCount {
  if (!count.varies) return count;
  const { each: _, ...address } = count.address ?? { field: [], among: [] };
  return {
    ...count,
    ...{ least: 0, most: Number.MAX_SAFE_INTEGER },
    ...(count.address ? { address } : {}),
  };
}

function entriesOf(body: unknown, { at, where }: JsonCount): unknown[] {
  const list = valueAt(body, at);
  if (!Array.isArray(list)) return [];
  return list.filter((item) => {
    if (typeof item === 'string') return Object.keys(where).length === 0;
    const fields = element.safeParse(item).data;
    const fits = Object.entries(where).every(([key, wanted]) => {
      const has: unknown = fields?.[key];
      return Array.isArray(wanted) ? wanted.some((value) => value === has) : wanted === has;
    });
    return fields !== undefined && fits;
  });
}

function countOne(entries: readonly unknown[], count: JsonCount): Counted {
  const least = count.least ?? count.count;
  const { address } = count;
  if (!address) return judged(entries.length, least, count, [], []);
  const found = new Map<string, number>();
  let anonymous = 0;
  for (const entry of entries) {
    const text = valueAt(entry, address.field);
    if (typeof text !== 'string') anonymous++;
    else found.set(addressIn(text), (found.get(addressIn(text)) ?? 0) + 1);
  }
  const { each } = address;
  const own = new Set(address.among);
  const others = new Set(address.others);
  const wrong: string[] = [];
  let have = Math.floor(anonymous / (each ?? 1));
  for (const [name, times] of found) {
    if (own.has(name)) {
      if (each === undefined || times >= each) have++;
      if (each !== undefined && times > each)
        wrong.push(`${name} is registered ${times} times instead of ${each}`);
    } else if (!others.has(name)) wrong.push(`a stranger is registered: ${name}`);
  }
  const missing = anonymous > 0 ? [] : [...own].filter((name) => !found.has(name));
  return judged(have, least, count, wrong, missing);
}

function judged(
  have: number,
  least: number,
  { count, most = count, label }: JsonCount,
  wrong: readonly string[],
  missing: readonly string[],
): Counted {
  const tooMany = have > most ? [`${have - most} too many ${label} are registered`] : [];
  const named = missing.slice(0, MOST_NAMED).join(' ');
  const without =
    missing.length > 0 ? ` (without ${named}${missing.length > MOST_NAMED ? ' and others' : ''})` : '';
  return {
    ok: have >= least && have <= most && wrong.length === 0,
    detail: count === 0 ? '' : `${have} of ${count} ${label}${without}`,
    wrong: [...wrong.slice(0, MOST_NAMED), ...tooMany],
  };
}
