import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BenchmarkProgress, benchmarkProgressSchema } from '../../messages/job-directory/result.ts';

const READ_MS = 500;

/** Reads progress.json, which a benchmark keeps up to date in the point's directory. */
export class ProgressReader {
  readonly #file: string;
  readonly #onProgress: (progress: BenchmarkProgress) => void;
  #told = '';
  #timer: NodeJS.Timeout | undefined;

  constructor(pointDir: string, onProgress: (progress: BenchmarkProgress) => void) {
    this.#file = join(pointDir, 'progress.json');
    this.#onProgress = onProgress;
  }

  begin(): void {
    this.#timer = setInterval(() => void this.read(), READ_MS);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** A file that cannot be read, or has not changed, is ignored. */
  async read(): Promise<void> {
    try {
      const text = await readFile(this.#file, 'utf8');
      if (text === '' || text === this.#told) return;
      this.#told = text;
      const { data } = benchmarkProgressSchema.safeParse(JSON.parse(text));
      if (data) this.#onProgress(data);
    } catch {
      // The next read may succeed.
    }
  }
}
