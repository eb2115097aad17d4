import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { closed, type Progress, reasonOf } from './reasons.ts';
import { type ResponseHead, ResponseReader } from './response.ts';
import type { Target } from './target.ts';

/** One request and what reads its answer. */
export interface Exchange {
  /** The request's head and body. */
  readonly bytes: readonly Uint8Array[];
  /** From the first byte sent to the end of the answer, ms. */
  readonly limitMs: number;
  /** `complete` says that the answer is complete, where onBody cannot know it in time. */
  onHead(head: ResponseHead, complete: () => void): void;
  /**
   * Bytes `from` to `to` of the body, which arrived at `now`; the buffer is used again after the call.
   * Returns whether the answer is complete, though its body may not have ended.
   */
  onBody(bytes: Buffer, from: number, to: number, now: number): boolean;
}

/** How an exchange went; times in ms of `performance.now()`. */
export interface Exchanged {
  /** When the first byte was handed to the socket; undefined if that never happened. */
  readonly startedAt: number | undefined;
  /** How long the connection took to open; 0 for a kept one. */
  readonly connectMs: number;
  /** HTTP status; 0 without an answer. */
  readonly status: number;
  /** Why it failed, in words. */
  readonly failure: string | null;
}

/**
 * Reads of all connections share this, because each is handled before the next. Without it, Node allocates a
 * buffer for each read.
 */
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);
/** Thousands of connections at once overflow a server's queue, and the kernel tries again after 1, 3, 7 s. */
const CONNECT_LIMIT_MS = 60_000;
/**
 * How long the body of a complete answer may take to end. Usually its end is in the same packet; some servers
 * leave it open.
 */
const BODY_END_MS = 50;
/** How long a server may take to close, so that the closed ports wait on its side, not on this one. */
const CLOSE_MS = 1_000;

interface Pending {
  readonly exchange: Exchange;
  readonly resolve: (how: Exchanged) => void;
  startedAt: number | undefined;
  timer: NodeJS.Timeout;
  isComplete: boolean;
}

/** What the connections of one client share. */
export interface Shared {
  readonly target: Target;
  readonly keepsConnections: boolean;
  /** A complete answer was left open once, so no further one is waited for. */
  leavesOpen: boolean;
  /** The connection may take another exchange. */
  onIdle(connection: Connection): void;
  onClosed(connection: Connection): void;
}

/** A connection to the server, for one exchange after the other. */
export class Connection {
  readonly #shared: Shared;
  readonly #socket: Socket;
  readonly #askedAt = performance.now();
  #connectMs = 0;
  #isOpen = false;
  #isClosed = false;
  #status = 0;
  #keepsOpen = false;
  #now = 0;
  #reader: ResponseReader | undefined;
  #pending: Pending | undefined;

  constructor(shared: Shared) {
    this.#shared = shared;
    const { host, port, tls } = shared.target;
    const onread = {
      buffer: READ_BUFFER,
      callback: (count: number) => {
        this.#read(count);
        return true;
      },
    };
    const options = { host, port, noDelay: true, onread };
    this.#socket = tls ? connectTls({ ...options, ...tls }) : connect(options);
    this.#socket.setNoDelay(true);
    this.#socket.once(tls ? 'secureConnect' : 'connect', () => this.#opened());
    this.#socket.on('error', (error) => this.#fail(reasonOf(error, this.#progress())));
    this.#socket.on('end', () => this.#ended());
    this.#socket.on('close', () => {
      this.#isClosed = true;
      this.#fail(closed(this.#progress()));
      shared.onClosed(this);
    });
  }

  /** One at a time. Never rejects: a failure is in the result. */
  exchange(exchange: Exchange): Promise<Exchanged> {
    return new Promise((resolve) => {
      const timer = setTimeout(
        () => this.#fail(`no connection after ${CONNECT_LIMIT_MS / 1_000} s`),
        CONNECT_LIMIT_MS,
      );
      this.#pending = { exchange, resolve, startedAt: undefined, timer, isComplete: false };
      this.#status = 0;
      this.#reader = undefined;
      if (this.#isClosed) this.#fail(closed('connecting'));
      else if (this.#isOpen) this.#send(this.#pending);
    });
  }

  /** Ends the exchange, if there is one, with `reason`. */
  destroy(reason: string): void {
    this.#fail(reason);
    this.#socket.destroy();
  }

  #progress(): Progress {
    if (this.#pending?.startedAt === undefined) return 'connecting';
    return this.#reader?.hasBegun ? 'answering' : 'asked';
  }

  #opened(): void {
    this.#isOpen = true;
    this.#connectMs = performance.now() - this.#askedAt;
    if (this.#pending) this.#send(this.#pending);
  }

  #send(pending: Pending): void {
    const { exchange } = pending;
    clearTimeout(pending.timer);
    pending.timer = setTimeout(
      () => this.#fail(`no end after ${exchange.limitMs / 1_000} s`),
      exchange.limitMs,
    );
    this.#reader = new ResponseReader({
      onHead: (head) => {
        this.#status = head.status;
        this.#keepsOpen = head.keepsOpen;
        exchange.onHead(head, () => {
          if (pending.isComplete) return;
          pending.isComplete = true;
          if (this.#pending === pending) this.#awaitEnd(pending);
        });
      },
      onBody: (bytes, from, to) => {
        if (exchange.onBody(bytes, from, to, this.#now)) pending.isComplete = true;
      },
    });
    // One packet for head and body, where they fit.
    this.#socket.cork();
    pending.startedAt = performance.now();
    for (const bytes of exchange.bytes) this.#socket.write(bytes);
    this.#socket.uncork();
  }

  #read(count: number): void {
    const [reader, pending] = [this.#reader, this.#pending];
    // The server sends bytes without a request, so the connection cannot be used again.
    if (!reader || !pending) {
      if (this.#shared.keepsConnections) this.#socket.destroy();
      return;
    }
    this.#now = performance.now();
    const end = reader.read(READ_BUFFER, 0, count);
    if (reader.fault !== null) this.#fail(reader.fault);
    else if (reader.isDone) this.#finish(pending, end === count && this.#keepsOpen);
    else if (pending.isComplete) this.#awaitEnd(pending);
  }

  /** The answer is complete, and its body has not ended. */
  #awaitEnd(pending: Pending): void {
    clearTimeout(pending.timer);
    if (this.#shared.leavesOpen) {
      this.#finish(pending, false);
      return;
    }
    pending.timer = setTimeout(() => {
      this.#shared.leavesOpen = true;
      this.#finish(pending, false);
    }, BODY_END_MS);
  }

  #ended(): void {
    const pending = this.#pending;
    if (!pending) return;
    if (this.#reader?.end() || pending.isComplete) this.#finish(pending, false);
    else this.#fail(closed(this.#progress()));
  }

  #finish(pending: Pending, mayBeKept: boolean): void {
    this.#settle(pending, null);
    if (mayBeKept && this.#shared.keepsConnections && !this.#isClosed) {
      this.#connectMs = 0;
      this.#shared.onIdle(this);
    } else if (!this.#isClosed) setTimeout(() => this.#socket.destroy(), CLOSE_MS).unref();
  }

  #fail(reason: string): void {
    const pending = this.#pending;
    if (!pending) return;
    this.#settle(pending, reason);
    this.#socket.destroy();
  }

  #settle(pending: Pending, failure: string | null): void {
    this.#pending = undefined;
    clearTimeout(pending.timer);
    pending.resolve({
      startedAt: pending.startedAt,
      connectMs: this.#connectMs,
      status: this.#status,
      failure,
    });
  }
}
