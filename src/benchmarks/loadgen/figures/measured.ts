/** Token counts as the answer's `usage` states them. */
export interface Usage {
  /** null = not stated. */
  readonly promptTokens: number | null;
  readonly completionTokens: number;
  /** Prompt tokens from the engine's cache; null = not stated. */
  readonly cachedTokens: number | null;
}

/** Measurements of one request, in ms of a monotonic clock. `error` set = it failed. */
export interface Measured {
  /** Number of the request in its run, from 0. */
  readonly index: number;
  /** When the load shape wanted it sent. */
  readonly intendedAt: number;
  /** When its first byte was handed to the socket; when it failed, if that never happened. */
  readonly startedAt: number;
  /** How long it waited in the client: `startedAt` - `intendedAt`. */
  readonly queuedMs: number;
  /** The part of it in which `concurrency` requests were in flight, and the load shape held it back. */
  readonly heldMs?: number;
  /** The part of it that the server took to accept its connection; 0 for a kept one. */
  readonly connectMs: number;
  /** The first output; equal to `endedAt` without output. */
  readonly firstAt: number;
  readonly ttftMs: number;
  /** The last choice of the answer, which has output or its end; equal to `endedAt` without one. */
  readonly lastAt: number;
  /** `lastAt`, or for a failed request the moment of the failure. */
  readonly endedAt: number;
  /** Gaps between the chunks that carry output. */
  readonly gapsMs: ArrayLike<number> & Iterable<number>;
  /** Chunks that carry output. */
  readonly chunks: number;
  /** Lengths that the request asked for. */
  readonly asked: {
    readonly inputTokens: number;
    readonly outputTokens: number;
    /** Whether the prompt has exactly that length for the model's tokenizer. */
    readonly isExact: boolean;
  };
  readonly usage: Usage | null;
  /** By usage; without usage, what was asked. */
  readonly inputTokens: number;
  /** By usage; without usage, the chunks that carry output. */
  readonly outputTokens: number;
  /** Bytes of the answer's body. */
  readonly answerBytes: number;
  /** The model as the answer names it. */
  readonly model: string | null;
  /** The last one of the answer, as `length` or `stop`. */
  readonly finishReason: string | null;
  /** HTTP status; 0 without an answer. */
  readonly status: number;
  readonly error: string | null;
}
