import type * as z from 'zod';
import type { EventBody, SrtEvent } from '../events/events.ts';

/** A message as it came, with what is needed to answer it. */
export interface Incoming<T> {
  readonly subject: string;
  readonly message: T;
  /** Answers a request; does nothing for a message that wants no answer. */
  respond(reply: unknown): void;
}

export interface BusStatus {
  readonly connected: boolean;
  /** Messages that could not be read (not JSON, or not of the schema) and were dropped. */
  readonly malformed: number;
  /** Exceptions of handlers, caught: a throwing callback would leave the connection deaf. */
  readonly handlerErrors: number;
}

/**
 * All that srtctl needs of NATS. The adapter is messages/nats-bus.ts; tests put a recorder in its place.
 * Whatever comes in is read with a schema; what does not fit is counted and dropped.
 */
export interface Bus {
  readonly status: BusStatus;
  /** Tells of every loss (false) and return (true) of the connection. */
  onConnection(listener: (connected: boolean) => void): void;
  /** Fire and forget: lost while disconnected, so only for what the next message says again. */
  publish(subject: string, message: unknown): void;
  /** Asks and waits for one answer. Throws BusTimeout, or BusError when nobody is there. */
  request<T>(subject: string, message: unknown, reply: z.ZodType<T>, timeoutMs: number): Promise<T>;
  subscribe<T>(subject: string, schema: z.ZodType<T>, handle: (incoming: Incoming<T>) => void): void;
  /** Resolves when the server has taken all that was published and subscribed so far; rejects after `deadlineMs`. */
  settled(deadlineMs?: number): Promise<void>;
  /** Publishes to the stream and resolves when the server has it on disk. `id` makes a repeat harmless. */
  keep(subject: string, message: unknown, id: string): Promise<void>;
  /** Every kept event from stream sequence `from` on, in order, and then as they come; survives reconnects. */
  follow(from: number, handle: (event: SrtEvent, streamSeq: number) => void): Follower;
  /** Sends what is pending and closes, within `deadlineMs`. */
  close(deadlineMs?: number): Promise<void>;
}

export interface Follower {
  stop(): void;
  /** Resolves when the follower has handled all that was in the stream at the time of the call. */
  caughtUp(): Promise<void>;
}

/** Numbers, dates and delivers kept events: each once, in order, resent until the server has it. */
export interface EventOutbox {
  send(body: EventBody): void;
  /** Resolves when all that was sent is on the server's disk, or after `deadlineMs` (false). */
  flush(deadlineMs: number): Promise<boolean>;
  /** What the server does not have yet, in order. */
  unsent(): readonly SrtEvent[];
}

export class BusError extends Error {
  override readonly name: string = 'BusError';
}
export class BusTimeout extends BusError {
  override readonly name = 'BusTimeout';
}
