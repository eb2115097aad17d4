import { prefillMs, stepMs, transferMs } from './speed-model.ts';

/** Resolution of Node's timers, ms: what is due within half of it is done now, not a whole one late. */
const TIMER_MS = 1;

/** A request inside the engine. Times are of the scheduler's clock, ms. */
export interface Sequence {
  readonly promptTokens: number;
  readonly outputTokens: number;
  readonly arrivedAt: number;
  /** Told of each new count of output tokens; `last` when it is complete; `dueAt` is when the model says it is. */
  readonly onTokens: (produced: number, last: boolean, dueAt: number) => void;
}

interface Running extends Sequence {
  produced: number;
}

export interface Clock {
  now(): number;
  /** Calls back at (or soon after) `at`; returns how to forget it. */
  at(at: number, run: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => performance.now(),
  at(at, run) {
    const timer = setTimeout(run, Math.max(0, at - performance.now()));
    return () => clearTimeout(timer);
  },
};

/**
 * Continuous batching as engines do it: prompts are prefilled first come, first served, and every decode step gives
 * each running request one token. All times are absolute: a step that is late does not make the next one late.
 */
export class Scheduler {
  readonly #clock: Clock;
  readonly #speed: number;
  readonly #maxRunning: number;
  readonly #queue: { readonly start: () => void }[] = [];
  readonly #running = new Set<Running>();
  #prefillFreeAt = 0;
  #nextStepAt = 0;
  #forgetStep: (() => void) | undefined;
  /** Requests that have a place: prefilled or being so, transferred or running. */
  #admitted = 0;
  readonly totals = { promptTokens: 0, generationTokens: 0, requests: 0 };

  constructor(options: { clock?: Clock; speed: number; maxRunning: number }) {
    this.#clock = options.clock ?? systemClock;
    this.#speed = options.speed;
    this.#maxRunning = options.maxRunning;
  }

  get running(): number {
    return this.#admitted;
  }
  get queued(): number {
    return this.#queue.length;
  }

  /**
   * Puts a request in: `generate` prefills and decodes, `prefill` only prefills (then onTokens(1, true)), `decode`
   * begins with the transfer of a finished prefill. Returns how to abort it.
   */
  submit(kind: 'generate' | 'prefill' | 'decode', sequence: Sequence): () => void {
    let released = false;
    let admitted = false;
    let abortWork: () => void = () => {};
    const done = (): void => {
      if (released) return;
      released = true;
      if (admitted) this.#admitted--;
      this.#admit();
    };
    const entry = {
      start: () => {
        admitted = true;
        abortWork = this.#start(kind, sequence, done);
      },
    };
    this.#queue.push(entry);
    this.#admit();
    return () => {
      const at = this.#queue.indexOf(entry);
      if (at >= 0) this.#queue.splice(at, 1);
      abortWork();
      done();
    };
  }

  #admit(): void {
    while (this.#admitted < this.#maxRunning) {
      const entry = this.#queue.shift();
      if (!entry) return;
      this.#admitted++;
      entry.start();
    }
  }

  #start(kind: 'generate' | 'prefill' | 'decode', sequence: Sequence, done: () => void): () => void {
    const now = this.#clock.now();
    // A request that did not wait began when its bytes came, not when this code got to run.
    const began = now - sequence.arrivedAt < 5 ? sequence.arrivedAt : now;
    this.totals.requests++;
    let forget: () => void = () => {};
    if (kind === 'decode') {
      const readyAt = began + transferMs(sequence.promptTokens) / this.#speed;
      forget = this.#clock.at(readyAt, () => this.#join({ ...sequence, produced: 0 }, readyAt, done));
      return () => {
        forget();
        this.#leave(sequence);
      };
    }
    const startAt = Math.max(began, this.#prefillFreeAt);
    const readyAt = startAt + prefillMs(sequence.promptTokens) / this.#speed;
    this.#prefillFreeAt = readyAt;
    forget = this.#clock.at(readyAt, () => {
      this.totals.promptTokens += sequence.promptTokens;
      this.totals.generationTokens++;
      const last = kind === 'prefill' || sequence.outputTokens <= 1;
      sequence.onTokens(1, last, readyAt);
      if (last) done();
      else this.#join({ ...sequence, produced: 1 }, readyAt, done);
    });
    return () => {
      forget();
      this.#leave(sequence);
    };
  }

  readonly #ends = new WeakMap<Running, () => void>();

  #join(request: Running, readyAt: number, done: () => void): void {
    this.#running.add(request);
    this.#ends.set(request, done);
    if (this.#running.size > 1) return;
    this.#nextStepAt = readyAt + stepMs(1) / this.#speed;
    this.#armStep();
  }

  #leave(sequence: Sequence): void {
    for (const request of this.#running)
      if (request.onTokens === sequence.onTokens) this.#running.delete(request);
    if (this.#running.size === 0) this.#forgetStep?.();
  }

  #armStep(): void {
    this.#forgetStep = this.#clock.at(this.#nextStepAt, () => this.#step());
  }

  /** Does every step that is due by now; then waits for the next. */
  #step(): void {
    const now = this.#clock.now();
    const before = new Map<Running, number>();
    while (this.#running.size > 0 && this.#nextStepAt <= now + TIMER_MS / 2) {
      const batch = this.#running.size;
      for (const request of this.#running) {
        if (!before.has(request)) before.set(request, request.produced);
        request.produced++;
        this.totals.generationTokens++;
        if (request.produced >= request.outputTokens) this.#running.delete(request);
      }
      this.#nextStepAt += stepMs(batch) / this.#speed;
    }
    for (const request of before.keys()) {
      const last = request.produced >= request.outputTokens;
      request.onTokens(request.produced, last, now);
      if (last) this.#ends.get(request)?.();
    }
    if (this.#running.size > 0) this.#armStep();
  }
}
