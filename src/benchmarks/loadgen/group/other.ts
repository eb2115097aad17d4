import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseJson } from '../../common/parse-json.ts';
import { type Group, NO_COUNTS } from './group.ts';
import { Lines } from './lines.ts';
import { type Facts, type FromFirst, type FromOther, fromFirstSchema, meetingSchema } from './messages.ts';
import type { GroupSettings } from './settings.ts';

/** How long the first client may take to be there. */
const PATIENCE_MS = 180_000;
const LOOK_MS = 200;
const ANSWER_MS = 5_000;
/** The fastest of so many questions tells how far the clocks are apart. */
const CLOCKS = 16;

type Kind = FromFirst['kind'];
type Of<K extends Kind> = Extract<FromFirst, { kind: K }>;

/**
 * Finds the first client, as another one.
 * @throws Error when it does not come
 */
export async function join(settings: GroupSettings, signal: AbortSignal): Promise<Group> {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    const found = await tryToMeet(settings);
    if (found) return groupOf(settings, found, await shiftOf(found));
    if (performance.now() > until)
      throw new Error(`the first client, on ${settings.nodes[0]}, did not come in ${PATIENCE_MS / 1_000} s`);
    await sleep(LOOK_MS, undefined, { signal });
  }
}

/** The connection to the first client. */
interface First {
  readonly signal: AbortSignal;
  readonly send: (message: FromOther) => void;
  /** The next message of a kind; one at a time for each kind. */
  readonly next: <K extends Kind>(kind: K) => Promise<Of<K>>;
  readonly on: (kind: Kind, listener: () => void) => void;
  readonly close: () => void;
}

/** undefined: it is not there yet, or what is there is of an earlier attempt. */
async function tryToMeet({ index, nodes, meeting }: GroupSettings): Promise<First | undefined> {
  const text = await readFile(meeting, 'utf8').catch(() => undefined);
  const place = text === undefined ? undefined : parseJson(meetingSchema, text);
  if (!place || 'problem' in place) return undefined;
  const { host, port, token } = place.value;
  const socket = connect({ host, port });
  const isThere = await once(socket, 'connect', { signal: AbortSignal.timeout(ANSWER_MS) }).then(
    () => true,
    () => false,
  );
  if (!isThere) {
    socket.destroy();
    return undefined;
  }
  const broken = new AbortController();
  const waiting = new Map<Kind, (message: FromFirst) => void>();
  const early = new Map<Kind, FromFirst[]>();
  const listeners = new Map<Kind, () => void>();
  const lines = new Lines<FromFirst, FromOther>(
    socket,
    fromFirstSchema,
    (message) => {
      const listener = listeners.get(message.kind);
      if (listener) return listener();
      const take = waiting.get(message.kind);
      waiting.delete(message.kind);
      if (take) take(message);
      else early.set(message.kind, [...(early.get(message.kind) ?? []), message]);
    },
    (why) => broken.abort(new Error(`the first client, on ${nodes[0]}, was lost: ${why}`)),
  );
  const next = <K extends Kind>(kind: K): Promise<Of<K>> => {
    const [there, ...later] = early.get(kind) ?? [];
    if (there) {
      early.set(kind, later);
      return Promise.resolve(there as Of<K>);
    }
    return new Promise((resolve, reject) => {
      const fail = (): void => reject(broken.signal.reason as Error);
      if (broken.signal.aborted) return fail();
      broken.signal.addEventListener('abort', fail, { once: true });
      waiting.set(kind, (message) => {
        broken.signal.removeEventListener('abort', fail);
        resolve(message as Of<K>);
      });
    });
  };
  lines.send({ kind: 'hello', token, index });
  const welcome = await Promise.race([next('welcome'), sleep(ANSWER_MS)]).catch(() => undefined);
  if (!welcome) {
    socket.destroy();
    return undefined;
  }
  return {
    ...{ signal: broken.signal, next },
    send: (message) => lines.send(message),
    on: (kind, listener) => void listeners.set(kind, listener),
    close: () => lines.close(),
  };
}

/** From this client's clock to that of the first one, ms: by the answer that came back fastest. */
async function shiftOf({ send, next }: First): Promise<number> {
  let best = { tookMs: Number.POSITIVE_INFINITY, shiftMs: 0 };
  for (let left = CLOCKS; left > 0; left--) {
    const asked = performance.now();
    send({ kind: 'clock' });
    const { now } = await next('clock');
    const tookMs = performance.now() - asked;
    if (tookMs < best.tookMs) best = { tookMs, shiftMs: now - (asked + tookMs / 2) };
  }
  return best.shiftMs;
}

function groupOf({ index, nodes }: GroupSettings, first: First, shiftMs: number): Group {
  const { send, next } = first;
  return {
    share: { index, of: nodes.length },
    shiftMs,
    signal: first.signal,
    facts: async (): Promise<Facts> => (await next('facts')).facts,
    async together() {
      send({ kind: 'ready' });
      const { at } = await next('go');
      await sleep(Math.max(0, at - shiftMs - performance.now()));
      return at;
    },
    lose: () => send({ kind: 'lost' }),
    onLost: (listener) => first.on('lost', listener),
    others: () => NO_COUNTS,
    tell: (counts) => send({ kind: 'counts', counts }),
    parts: () => Promise.reject(new Error('the first client merges the figures')),
    taken: () => undefined,
    async give(part) {
      send({ kind: 'part', part });
      return (await next('taken')).ends;
    },
    close: first.close,
  };
}
