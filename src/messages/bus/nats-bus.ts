import { setTimeout as sleep } from 'node:timers/promises';
import { connect, ErrorCode, Events, headers, type NatsConnection, NatsError } from 'nats';
import type * as z from 'zod';
import { isGenuine } from '../events/authorship.ts';
import { eventSchema, type SrtEvent } from '../events/events.ts';
import { streamOf, toToken } from '../events/subjects.ts';
import { type Bus, BusError, type BusStatus, BusTimeout, type Follower, type Incoming } from './bus.ts';
import { answerTo } from './nkey.ts';
import { StreamFollower } from './stream-follower.ts';
import { throttled } from './throttle.ts';

/** Default `max_payload` of nats-server, bytes. */
const MAX_PAYLOAD = 1_048_576;
const FIRST_RETRY_MS = 250;
const RECONNECT_MS = 100;
/** A server that dies during the connection attempt is noticed after this time. */
export const CONNECT_MS = 5_000;
/**
 * How long the stream may take to acknowledge. The time grows, because repeated requests would slow a busy
 * server further.
 */
const KEEP_MS = { least: 1_000, most: 8_000 } as const;

export interface BusOptions {
  readonly url: string;
  /** nkey seed; without it the connection is in the engines' account and sees nothing of SRT. */
  readonly seed: string;
  readonly job: string;
  /** Shown in the server's list of connections. */
  readonly name: string;
  /** First token of the inbox of this client; permissions allow each role only its own. */
  readonly inbox: string;
  /**
   * Called for a refused subject or login, which is fatal for an actor, because its messages are no longer
   * delivered.
   */
  readonly onDenied?: (error: Error) => void;
  readonly log?: (message: string, detail?: unknown) => void;
  /**
   * How long to retry the first connection, ms (0: one attempt). When a thousand agents start at once, or
   * nodes are busy, the first attempt may be too early; a refused login is final.
   */
  readonly patienceMs?: number;
  /** Aborted when the connection is no longer needed. */
  readonly signal?: AbortSignal;
  /**
   * Certificate (PEM) of the job's own authority, where the bus is encrypted; the client connects to no other
   * server.
   */
  readonly ca?: string | undefined;
}

/** Inbox prefix of a role (and node), as the server's permissions name it. */
export const inboxOf = (role: string, node?: string): string =>
  node === undefined ? `_INBOX_${role}` : `_INBOX_${role}_${toToken(node)}`;

/** Connects, and reconnects without limit, because the lease decides when to give up, not the client. */
export const connectBus = (options: BusOptions): Promise<Bus> =>
  patiently(options, async () => new NatsBus(await connectOnce(options), options));

/** Retries until it works, until the patience is over, or until a login is refused. */
export async function patiently<T>(
  { url, patienceMs = 0, signal }: Pick<BusOptions, 'url' | 'patienceMs' | 'signal'>,
  attempt: () => Promise<T>,
): Promise<T> {
  const until = performance.now() + patienceMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      const refused = error instanceof NatsError && error.isAuthError();
      if (refused || signal?.aborted || performance.now() > until)
        throw new BusError(`cannot reach the bus at ${url}: ${messageOf(error)}`, { cause: error });
      await sleep(FIRST_RETRY_MS);
    }
  }
}

const connectOnce = (options: BusOptions): Promise<NatsConnection> =>
  connect({
    servers: options.url,
    name: options.name,
    authenticator: (nonce) => answerTo(options.seed, nonce),
    inboxPrefix: options.inbox,
    maxReconnectAttempts: -1,
    reconnectDelayHandler: createReconnectDelay(),
    // Two missed pings reveal a peer that is frozen or cut off.
    pingInterval: 750,
    maxPingOut: 2,
    timeout: CONNECT_MS,
    ...tlsOf(options.url, options.ca),
    // nats-server gossips addresses of the machine's other interfaces.
    ignoreClusterUpdates: true,
  });

/**
 * The delay before nats.js tries to connect again. nats.js uses the wall clock, and would wait for an hour
 * after the clock was set back by one; so once the time has passed, it gets a time far in the past.
 */
function createReconnectDelay(): () => number {
  let waitMs = 0;
  let triedAt = Number.NEGATIVE_INFINITY;
  return () => {
    const now = performance.now();
    if (now - triedAt < waitMs) return waitMs;
    triedAt = now;
    // Random, so that a thousand agents do not reconnect at once.
    waitMs = RECONNECT_MS * (1 + Math.random() / 2);
    return Number.NEGATIVE_INFINITY;
  };
}

/**
 * null disables TLS even when the server offers it (to clients with its authority's certificate). `host` goes
 * to tls.connect(), which would otherwise look for `localhost` in the certificate when the address is
 * numeric.
 */
export function tlsOf(url: string, ca: string | undefined): { tls: { ca: string; host: string } | null } {
  return { tls: ca === undefined ? null : { ca, host: new URL(url).hostname } };
}

/**
 * The only kind of subject that gets an answer. The requester chooses the subject, and an answer to the
 * stream's administration or to another agent would be published with our permissions.
 */
const INBOX = /^_INBOX_[\w%-]+\.[\w.-]+$/;

class NatsBus implements Bus {
  readonly #connection: NatsConnection;
  readonly #options: BusOptions;
  readonly #status = { connected: true, malformed: 0, handlerErrors: 0 };
  readonly #listeners: ((connected: boolean) => void)[] = [];
  readonly #followers = new Set<StreamFollower>();
  #keepMs: number = KEEP_MS.least;
  readonly #complain: (message: string, detail?: unknown) => void;

  constructor(connection: NatsConnection, options: BusOptions) {
    this.#connection = connection;
    this.#options = options;
    this.#complain = throttled((message, detail) => options.log?.(message, detail));
    void this.#watchStatus();
  }

  get status(): BusStatus {
    return this.#status;
  }

  onConnection(listener: (connected: boolean) => void): void {
    this.#listeners.push(listener);
  }

  publish(subject: string, message: unknown): void {
    // After a drain everything is sent, and the client would throw.
    if (this.#connection.isClosed() || this.#connection.isDraining()) return;
    this.#connection.publish(subject, encode(subject, message));
  }

  async request<T>(subject: string, message: unknown, reply: z.ZodType<T>, timeoutMs: number): Promise<T> {
    const answer = await this.#ask(subject, encode(subject, message), timeoutMs);
    const parsed = reply.safeParse(parseJson(answer));
    if (!parsed.success) {
      this.#status.malformed++;
      throw new BusError(`cannot parse the answer on ${subject}: ${parsed.error.issues[0]?.message}`);
    }
    return parsed.data;
  }

  subscribe<T>(subject: string, schema: z.ZodType<T>, handle: (incoming: Incoming<T>) => void): void {
    this.#connection.subscribe(subject, {
      callback: (error, message) => {
        if (error) {
          this.#denied(error);
          return;
        }
        const parsed = schema.safeParse(parseJson(message.data));
        if (!parsed.success) {
          this.#status.malformed++;
          this.#complain(
            `dropped a malformed message on ${message.subject}`,
            parsed.error.issues[0]?.message.slice(0, 500),
          );
          return;
        }
        this.#guarded(message.subject, () =>
          handle({
            subject: message.subject,
            message: parsed.data,
            respond: (reply) => {
              if (message.reply && INBOX.test(message.reply)) message.respond(encode(message.reply, reply));
            },
          }),
        );
      },
    });
  }

  async settled(deadlineMs = 5_000): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new BusTimeout(`the bus did not answer within ${deadlineMs} ms`)),
        deadlineMs,
      );
    });
    // The client's flush() has no deadline of its own.
    await Promise.race([this.#connection.flush(), late]).finally(() => clearTimeout(timer));
  }

  async keep(subject: string, message: unknown, id: string): Promise<void> {
    const header = headers();
    // The server drops a second message with the same id (JetStream's duplicate window).
    header.set('Nats-Msg-Id', id);
    let answer: Uint8Array;
    try {
      answer = (
        await this.#connection.request(subject, encode(subject, message), {
          timeout: this.#keepMs,
          headers: header,
        })
      ).data;
      this.#keepMs = KEEP_MS.least;
    } catch (error) {
      const translated = this.#translate(subject, error);
      if (translated instanceof BusTimeout) this.#keepMs = Math.min(KEEP_MS.most, this.#keepMs * 2);
      throw translated;
    }
    const ack = parseJson(answer) as { error?: { description?: string } } | undefined;
    if (!ack || ack.error) throw new BusError(`not kept: ${ack?.error?.description ?? 'no answer'}`);
  }

  follow(from: number, handle: (event: SrtEvent, streamSeq: number) => void): Follower {
    const follower = new StreamFollower(
      this.#connection,
      streamOf(this.#options.job),
      from,
      (data, seq, subject) => {
        const parsed = eventSchema.safeParse(parseJson(data));
        if (parsed.success && isGenuine(this.#options.job, subject, parsed.data)) {
          this.#guarded('event', () => handle(parsed.data, seq));
          return;
        }
        this.#status.malformed++;
        this.#complain(`dropped an event on ${subject}: malformed, or forged`);
      },
    );
    this.#followers.add(follower);
    return follower;
  }

  async close(deadlineMs = 2_000): Promise<void> {
    for (const follower of this.#followers) follower.stop();
    if (this.#connection.isClosed()) return;
    const drained = this.#connection.drain().catch(() => undefined);
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([
      drained,
      new Promise<void>((resolve) => {
        timer = setTimeout(resolve, deadlineMs);
      }),
    ]);
    clearTimeout(timer);
    await this.#connection.close().catch(() => undefined);
  }

  async #ask(subject: string, data: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    try {
      return (await this.#connection.request(subject, data, { timeout: timeoutMs })).data;
    } catch (error) {
      throw this.#translate(subject, error);
    }
  }

  #translate(subject: string, error: unknown): BusError {
    if (error instanceof NatsError && error.code === ErrorCode.Timeout)
      return new BusTimeout(`no answer on ${subject}`, { cause: error });
    if (error instanceof NatsError && error.code === ErrorCode.PermissionsViolation) this.#denied(error);
    return new BusError(`${subject}: ${messageOf(error)}`, { cause: error });
  }

  #guarded(what: string, run: () => void): void {
    try {
      run();
    } catch (error) {
      this.#status.handlerErrors++;
      this.#complain(`handler of ${what} threw`, error);
    }
  }

  #denied(error: Error): void {
    this.#options.log?.(`the bus refused an operation: ${error.message}`);
    this.#options.onDenied?.(error);
  }

  async #watchStatus(): Promise<void> {
    for await (const event of this.#connection.status()) {
      if (event.type === Events.Disconnect || event.type === Events.Reconnect) {
        this.#status.connected = event.type === Events.Reconnect;
        for (const listener of this.#listeners)
          this.#guarded('connection listener', () => listener(this.#status.connected));
        if (this.#status.connected) for (const follower of this.#followers) follower.renew();
      } else if (event.type === Events.Error) {
        const code = String(event.data);
        if (isAnswer(event.permissionContext)) this.#complain('an answer came too late, or twice');
        else if (code.includes('PERMISSIONS') || code.includes('AUTHORIZATION'))
          this.#denied(
            event.permissionContext
              ? new BusError(`not allowed: ${JSON.stringify(event.permissionContext)}`)
              : new BusError(code),
          );
      }
    }
  }
}

/**
 * The server allows one answer to each request, for a limited time. The requester has given up by then, and
 * asks again.
 */
const isAnswer = (refused: { operation: string; subject: string } | undefined): boolean =>
  refused?.operation === 'publish' && INBOX.test(refused.subject);

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function encode(subject: string, message: unknown): Uint8Array {
  const data = encoder.encode(JSON.stringify(message));
  if (data.length > MAX_PAYLOAD)
    throw new BusError(`a message of ${data.length} bytes on ${subject} exceeds the limit of ${MAX_PAYLOAD}`);
  return data;
}

function parseJson(data: Uint8Array): unknown {
  try {
    return JSON.parse(decoder.decode(data));
  } catch {
    return undefined;
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
