import { type Clock, systemClock } from '../common/clock.ts';
import { prefillMs, stepMs, transferMs } from './speed-model.ts';

/**
 * Work that is due within half a timer's resolution is done now, because the next timer would be a whole one
 * late.
 */
const HALF_TIMER_MS = 0.5;

/**
 * `generate` prefills and decodes, `prefill` gives one token, `decode` starts with the transfer of a finished
 * prefill.
 */
export type Work = 'generate' | 'prefill' | 'decode';

/** A request in the scheduler. Times are in ms of its clock. */
export interface Sequence {
  readonly promptTokens: number;
  readonly outputTokens: number;
  readonly arrivedAt: number;
  /**
   * Called for each new count of output tokens. `last`: the request is complete; `dueAt`: the model's time.
   */
  readonly onTokens: (produced: number, last: boolean, dueAt: number) => void;
}

/** Called for each computed batch, and when no work is left. */
export interface BatchListener {
  prefilled(tokens: number, now: { running: number; queued: number }): void;
  decoded(tokens: number, now: { running: number; queued: number }): void;
  idle(): void;
}

interface Entry {
  readonly work: Work;
  readonly sequence: Sequence;
  phase: 'waiting' | 'prefill' | 'transfer' | 'joining' | 'running' | 'over';
  produced: number;
  /** Its phase may continue from this time on. */
  from: number;
  forget: () => void;
}

/**
 * Continuous batching as engines do it: at most `maxRunning` requests have a place, prompts are prefilled one
 * by one, first come, first served, and every decode step gives each running request one token. A request
 * joins the batch between steps. All times are absolute, so a late step does not delay the next one.
 */
export class Scheduler {
  readonly #clock: Clock;
  readonly #speed: number;
  readonly #maxRunning: number;
  readonly #waiting: Entry[] = [];
  /** Requests with a place: waiting for prefill, in transfer or decoding. */
  readonly #admitted = new Set<Entry>();
  /** The first one is being prefilled. */
  readonly #prefills: Entry[] = [];
  readonly #joining = new Set<Entry>();
  readonly #running = new Set<Entry>();
  #nextStepAt = 0;
  #forgetStep: () => void = () => {};
  readonly totals = { promptTokens: 0, generationTokens: 0, requests: 0 };
  readonly #listener: BatchListener | undefined;

  constructor(options: { clock?: Clock; speed: number; maxRunning: number; listener?: BatchListener }) {
    this.#listener = options.listener;
    this.#clock = options.clock ?? systemClock;
    this.#speed = options.speed;
    this.#maxRunning = options.maxRunning;
  }

  get running(): number {
    return this.#admitted.size;
  }
  get queued(): number {
    return this.#waiting.length;
  }

  /**
   * Adds a request. Returns a function that aborts it: that frees its place at once and stops its callbacks.
   */
  submit(work: Work, sequence: Sequence): () => void {
    const from = sequence.arrivedAt;
    const entry: Entry = { work, sequence, phase: 'waiting', produced: 0, from, forget: () => {} };
    this.totals.requests++;
    this.#waiting.push(entry);
    this.#admit(from);
    return () => this.#abort(entry);
  }

  #admit(at: number): void {
    while (this.#admitted.size < this.#maxRunning) {
      const entry = this.#waiting.shift();
      if (!entry) return;
      this.#admitted.add(entry);
      entry.from = Math.max(entry.from, at);
      if (entry.work === 'decode') this.#transfer(entry);
      else {
        entry.phase = 'prefill';
        this.#prefills.push(entry);
        if (this.#prefills.length === 1) this.#prefill(entry.from);
      }
    }
  }

  #transfer(entry: Entry): void {
    entry.phase = 'transfer';
    const readyAt = entry.from + transferMs(entry.sequence.promptTokens) / this.#speed;
    entry.forget = this.#clock.at(readyAt, () => this.#join(entry, readyAt));
  }

  /** Starts the next prompt's prefill, at `at` or at its arrival. */
  #prefill(at: number): void {
    const [entry] = this.#prefills;
    if (!entry) return;
    const { promptTokens, outputTokens } = entry.sequence;
    const readyAt = Math.max(at, entry.from) + prefillMs(promptTokens) / this.#speed;
    entry.forget = this.#clock.at(readyAt, () => {
      this.#prefills.shift();
      this.#prefill(readyAt);
      this.#listener?.prefilled(promptTokens, { running: this.#running.size, queued: this.queued });
      this.totals.promptTokens += promptTokens;
      this.totals.generationTokens++;
      entry.produced = 1;
      const last = entry.work === 'prefill' || outputTokens <= 1;
      if (last) this.#release(entry, readyAt);
      else this.#join(entry, readyAt);
      entry.sequence.onTokens(1, last, readyAt);
    });
  }

  #join(entry: Entry, at: number): void {
    entry.phase = 'joining';
    entry.from = at;
    this.#joining.add(entry);
    if (this.#running.size > 0) return;
    this.#takeIn(at);
    this.#armStep();
  }

  /**
   * Between two steps, at `at`: adds the requests that have arrived to the next step. Without a running
   * request, the first one starts.
   */
  #takeIn(at: number): void {
    const [first] = this.#joining;
    const from = this.#running.size === 0 && first ? Math.max(at, first.from) : at;
    for (const entry of this.#joining) {
      if (entry.from > from) continue;
      this.#joining.delete(entry);
      entry.phase = 'running';
      this.#running.add(entry);
    }
    this.#nextStepAt = from + stepMs(this.#running.size) / this.#speed;
  }

  #armStep(): void {
    this.#forgetStep();
    if (this.#running.size > 0) this.#forgetStep = this.#clock.at(this.#nextStepAt, () => this.#steps());
  }

  /** Runs every step that is due by now. */
  #steps(): void {
    const now = this.#clock.now() + HALF_TIMER_MS;
    const changed = new Map<Entry, number>();
    while (this.#running.size > 0 && this.#nextStepAt <= now) {
      const at = this.#nextStepAt;
      const batch = this.#running.size;
      this.#listener?.decoded(batch, { running: batch, queued: this.queued });
      for (const entry of this.#running) {
        entry.produced++;
        this.totals.generationTokens++;
        changed.set(entry, at);
        if (entry.produced >= entry.sequence.outputTokens) this.#running.delete(entry);
      }
      this.#takeIn(at);
    }
    this.#armStep();
    for (const [entry, at] of changed) {
      const last = entry.produced >= entry.sequence.outputTokens;
      if (last) this.#release(entry, at);
      entry.sequence.onTokens(entry.produced, last, at);
    }
  }

  #release(entry: Entry, at: number): void {
    entry.phase = 'over';
    this.#admitted.delete(entry);
    this.#admit(at);
    if (this.#admitted.size === 0) this.#listener?.idle();
  }

  #abort(entry: Entry): void {
    if (entry.phase === 'over') return;
    const now = this.#clock.now();
    entry.forget();
    const waitingAt = this.#waiting.indexOf(entry);
    if (waitingAt >= 0) this.#waiting.splice(waitingAt, 1);
    const prefillAt = this.#prefills.indexOf(entry);
    if (prefillAt >= 0) this.#prefills.splice(prefillAt, 1);
    if (prefillAt === 0) this.#prefill(now);
    this.#joining.delete(entry);
    if (this.#running.delete(entry) && this.#running.size === 0) {
      this.#takeIn(now);
      this.#armStep();
    }
    this.#release(entry, now);
  }
}
