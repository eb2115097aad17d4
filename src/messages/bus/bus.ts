import type * as z from 'zod';
import type { EventBody, SrtEvent } from '../events/events.ts';

/** A received message, and the means to answer it. */
export interface Incoming<T> {
  readonly subject: string;
  readonly message: T;
  /** Answers a request; does nothing for a message without a reply subject. */
  respond(reply: unknown): void;
}

export interface BusStatus {
  readonly connected: boolean;
  /** Dropped messages that could not be parsed (not JSON, or not of the schema). */
  readonly malformed: number;
  /** Caught exceptions of handlers, because a throwing callback would stop the subscription. */
  readonly handlerErrors: number;
}

/**
 * All that srtctl needs of NATS. The adapter is messages/bus/nats-bus.ts; tests replace it by a recorder.
 * Every received message is parsed with a schema; a message that does not fit is counted and dropped.
 */
export interface Bus {
  readonly status: BusStatus;
  /** Reports every loss (false) and return (true) of the connection. */
  onConnection(listener: (connected: boolean) => void): void;
  /**
   * Fire and forget: a message is lost while disconnected, so use it only when the next message repeats the
   * content.
   */
  publish(subject: string, message: unknown): void;
  /**
   * Sends a request and waits for one answer. Throws BusTimeout, or BusError when the subject has no
   * subscriber.
   */
  request<T>(subject: string, message: unknown, reply: z.ZodType<T>, timeoutMs: number): Promise<T>;
  subscribe<T>(subject: string, schema: z.ZodType<T>, handle: (incoming: Incoming<T>) => void): void;
  /**
   * Resolves when the server has received all publications and subscriptions so far; rejects after
   * `deadlineMs`.
   */
  settled(deadlineMs?: number): Promise<void>;
  /** Publishes to the stream and resolves when the server has it on disk. `id` makes a repeat harmless. */
  keep(subject: string, message: unknown, id: string): Promise<void>;
  /**
   * Every kept event from stream sequence `from` on, in order, then new ones as they arrive; survives
   * reconnects.
   */
  follow(from: number, handle: (event: SrtEvent, streamSeq: number) => void): Follower;
  /** Sends pending messages and closes, within `deadlineMs`. */
  close(deadlineMs?: number): Promise<void>;
}

export interface Follower {
  stop(): void;
  /** Resolves when the follower has handled everything that was in the stream at the time of the call. */
  caughtUp(): Promise<void>;
}

/** Numbers, dates and delivers kept events: each once, in order, and again until the server has it. */
export interface EventOutbox {
  send(body: EventBody): void;
  /** Resolves with true when all sent events are on the server's disk, with false after `deadlineMs`. */
  flush(deadlineMs: number): Promise<boolean>;
  /** Events that the server does not have yet, in order. */
  unsent(): readonly SrtEvent[];
}

export class BusError extends Error {
  override readonly name: string = 'BusError';
}
export class BusTimeout extends BusError {
  override readonly name = 'BusTimeout';
}
