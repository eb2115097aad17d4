import type { JobState } from '../messages/job-files.ts';
import { writeJson } from './files.ts';

/** state.json, kept up to date: whole at any moment, and several changes at once become one write. */
export class StateFile {
  readonly #path: string;
  readonly #state: JobState;
  readonly #onError: (error: unknown) => void;
  #saving: Promise<void> = Promise.resolve();
  #unsaved = false;

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
    this.#saving = this.#saving
      .then(() => {
        this.#unsaved = false;
        this.#mayWrite();
        return writeJson(this.#path, this.#state);
      })
      .catch(this.#onError);
  }

  /** Resolves when all that was saved is on disk. */
  saved(): Promise<void> {
    return this.#saving;
  }
}
