import type { JobState } from '../messages/job-files.ts';
import { writeJson } from './files.ts';

/** Writing takes this part of the time at most, with thousands of points: 1 / (1 + …). Who waits for it does not. */
const REST = 4;

/** state.json, kept up to date: whole at any moment, and several changes at once become one write. */
export class StateFile {
  readonly #path: string;
  readonly #state: JobState;
  readonly #onError: (error: unknown) => void;
  #saving: Promise<void> = Promise.resolve();
  #unsaved = false;
  /** How long the last write took, and when it ended (monotonic ms). */
  #tookMs = 0;
  #endedAt = 0;
  #isUrgent = false;
  #hurry: () => void = () => undefined;

  readonly #mayWrite: () => void;

  constructor(
    path: string,
    state: JobState,
    onError: (error: unknown) => void,
    mayWrite: () => void = () => undefined,
  ) {
    this.#path = path;
    this.#mayWrite = mayWrite;
    this.#state = state;
    this.#onError = onError;
  }

  get current(): JobState {
    return this.#state;
  }

  save(change: Partial<JobState>): void {
    Object.assign(this.#state, change, { updatedAt: new Date().toISOString() });
    if (this.#unsaved) return;
    this.#unsaved = true;
    this.#saving = this.#saving.then(() => this.#rest()).then(() => this.#write());
  }

  async #write(): Promise<void> {
    const beganAt = performance.now();
    this.#unsaved = false;
    this.#isUrgent = false;
    try {
      this.#mayWrite();
      await writeJson(this.#path, this.#state);
    } catch (error) {
      this.#onError(error);
    }
    this.#endedAt = performance.now();
    this.#tookMs = this.#endedAt - beganAt;
  }

  #rest(): Promise<void> {
    const ms = this.#endedAt + REST * this.#tookMs - performance.now();
    if (ms <= 1 || this.#isUrgent) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#hurry = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Resolves when all that was saved is on disk. */
  saved(): Promise<void> {
    this.#isUrgent = true;
    this.#hurry();
    return this.#saving;
  }
}
