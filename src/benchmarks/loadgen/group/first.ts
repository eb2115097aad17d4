import { randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import writeFileAtomic from 'write-file-atomic';
import { type Group, NO_COUNTS } from './group.ts';
import { Lines } from './lines.ts';
import { type Counts, type FromFirst, type FromOther, fromOtherSchema, type Part } from './messages.ts';
import type { GroupSettings } from './settings.ts';

/** How long the others may take to come: their containers start at other times. */
const PATIENCE_MS = 180_000;
/** All clients hear of a begin so long before it, ms. */
const AHEAD_MS = 50;

interface Other {
  readonly lines: Lines<FromOther, FromFirst>;
  isReady: boolean;
  counts: Counts;
  part: Part | undefined;
}

/**
 * Waits for the other clients, as the first one.
 * @throws Error when one does not come
 */
export async function lead(settings: GroupSettings, signal: AbortSignal): Promise<Group> {
  const { nodes, host, meeting } = settings;
  const awaited = nodes.length - 1;
  const token = randomBytes(32);
  const others = new Map<number, Other>();
  const broken = new AbortController();
  let lost: () => void = () => undefined;
  let isOver = false;
  let news: () => void = () => undefined;

  signal.addEventListener(
    'abort',
    () => {
      broken.abort(signal.reason);
      news();
    },
    { once: true },
  );
  const fail = (index: number, why: string): void => {
    if (isOver) return;
    broken.abort(new Error(`client ${index + 1} of ${nodes.length}, on ${nodes[index]}, was lost: ${why}`));
    news();
  };
  /** Resolves when `isSo`, which is looked at after each message. */
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) {
      broken.signal.throwIfAborted();
      await new Promise<void>((resolve) => {
        news = resolve;
      });
    }
    broken.signal.throwIfAborted();
  };

  const meet = (socket: Socket): void => {
    let index: number | undefined;
    const lines: Lines<FromOther, FromFirst> = new Lines(
      socket,
      fromOtherSchema,
      (message) => {
        if (message.kind === 'hello') {
          const given = Buffer.from(message.token, 'hex');
          const isKnown = given.length === token.length && timingSafeEqual(given, token);
          if (!isKnown || message.index > awaited || others.has(message.index)) return void socket.destroy();
          index = message.index;
          others.set(index, { lines, isReady: false, counts: NO_COUNTS, part: undefined });
          lines.send({ kind: 'welcome' });
          return news();
        }
        const other = index === undefined ? undefined : others.get(index);
        // Who has not said the token is no client.
        if (!other) return void socket.destroy();
        switch (message.kind) {
          case 'clock':
            return lines.send({ kind: 'clock', now: performance.now() });
          case 'ready':
            other.isReady = true;
            break;
          case 'counts':
            other.counts = message.counts;
            return;
          case 'lost':
            lost();
            break;
          case 'part':
            other.part = message.part;
        }
        news();
      },
      (why) => {
        if (index !== undefined) fail(index, why);
      },
    );
  };
  const tellAll = (message: FromFirst): void => {
    for (const { lines } of others.values()) lines.send(message);
  };

  const server = createServer(meet);
  server.listen({ host, port: 0 });
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await writeFileAtomic(meeting, JSON.stringify({ v: 1, host, port, token: token.toString('hex') }), {
    mode: 0o600,
  });
  const patience = setTimeout(() => {
    const missing = nodes.flatMap((node, at) => (at === 0 || others.has(at) ? [] : [node]));
    broken.abort(new Error(`the clients on ${missing.join(', ')} did not come in ${PATIENCE_MS / 1_000} s`));
    news();
  }, PATIENCE_MS);
  try {
    await until(() => others.size === awaited);
  } finally {
    clearTimeout(patience);
    server.close();
    // Nothing is to be read there later.
    await rm(meeting, { force: true });
  }

  return {
    share: { index: 0, of: nodes.length },
    shiftMs: 0,
    signal: broken.signal,
    async facts(find) {
      const facts = await find();
      tellAll({ kind: 'facts', facts });
      return facts;
    },
    async together() {
      await until(() => [...others.values()].every(({ isReady }) => isReady));
      for (const other of others.values()) Object.assign(other, { isReady: false, counts: NO_COUNTS });
      const at = performance.now() + AHEAD_MS;
      tellAll({ kind: 'go', at });
      await sleep(AHEAD_MS);
      return at;
    },
    lose: () => tellAll({ kind: 'lost' }),
    onLost(listener) {
      lost = () => {
        tellAll({ kind: 'lost' });
        listener();
      };
    },
    others: () => [...others.values()].map(({ counts }) => counts).reduce(added, NO_COUNTS),
    tell: null,
    async parts() {
      await until(() => [...others.values()].every(({ part }) => part !== undefined));
      const inOrder = [...others].sort(([a], [b]) => a - b).flatMap(([, { part }]) => (part ? [part] : []));
      for (const other of others.values()) other.part = undefined;
      return inOrder;
    },
    taken(ends) {
      isOver ||= ends;
      tellAll({ kind: 'taken', ends });
    },
    give: () => Promise.reject(new Error('the first client merges the figures itself')),
    close() {
      isOver = true;
      for (const { lines } of others.values()) lines.close();
    },
  };
}

const added = (one: Counts, other: Counts): Counts => ({
  requestsTotal: one.requestsTotal + other.requestsTotal,
  requestsSent: one.requestsSent + other.requestsSent,
  requestsDone: one.requestsDone + other.requestsDone,
  failed: one.failed + other.failed,
  chunks: one.chunks + other.chunks,
  outputTokens: one.outputTokens + other.outputTokens,
});
