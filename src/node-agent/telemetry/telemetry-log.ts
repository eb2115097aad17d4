import { mkdirSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';

/** Text that may wait for the disk, characters. A file system that hangs must not fill the agent's memory. */
const MOST_WAITING = 16 * 1024 * 1024;

/**
 * Appends lines to a file, in order and without waiting for it: a killed agent loses only what the kernel does
 * not have yet, which is the last write.
 */
export class TelemetryLog {
  readonly path: string;
  readonly #onDefect: (error: unknown) => void;
  /** Characters so far. */
  size = 0;
  #waiting = '';
  #writing: Promise<void> | undefined;
  #file: FileHandle | undefined;
  #isBroken = false;

  /** `onDefect` is called once; from then on nothing is written. */
  constructor(directory: string, name: string, onDefect: (error: unknown) => void) {
    this.path = join(directory, name);
    this.#onDefect = onDefect;
    try {
      mkdirSync(directory, { recursive: true });
    } catch (error) {
      this.#break(error);
    }
  }

  append(line: string): void {
    if (this.#isBroken) return;
    if (this.#waiting.length > MOST_WAITING) {
      this.#break(new Error('the file system does not keep up'));
      return;
    }
    this.size += line.length + 1;
    this.#waiting += `${line}\n`;
    this.#writing ??= this.#write();
  }

  /** Resolves when all lines are in the file and it is closed. Never rejects. */
  async close(): Promise<void> {
    while (this.#writing) await this.#writing;
    await this.#file?.close().catch(() => undefined);
    this.#file = undefined;
  }

  async #write(): Promise<void> {
    try {
      this.#file ??= await open(this.path, 'a', 0o644);
      while (this.#waiting !== '') {
        const text = this.#waiting;
        this.#waiting = '';
        await this.#file.appendFile(text);
      }
    } catch (error) {
      this.#break(error);
    } finally {
      this.#writing = undefined;
    }
  }

  #break(error: unknown): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    this.#waiting = '';
    this.#onDefect(error);
  }
}
