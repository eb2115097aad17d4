import { open } from 'node:fs/promises';
import writeFileAtomic from 'write-file-atomic';
import { resultLines } from '../../benchmarks/common/result-lines.ts';
import type { PointResult } from '../../messages/job-directory/result.ts';

/** results.jsonl: a line for each point and concurrency, on disk before the next point starts. */
export class ResultsFile {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  /** Begins the file with the results that exist already. */
  async begin(results: readonly PointResult[]): Promise<void> {
    await writeFileAtomic(this.#path, results.map(textOf).join(''));
  }

  async append(result: PointResult): Promise<void> {
    const file = await open(this.#path, 'a', 0o644);
    try {
      await file.writeFile(textOf(result));
      await file.datasync();
    } finally {
      await file.close();
    }
  }
}

const textOf = (result: PointResult): string =>
  resultLines(result)
    .map((line) => `${JSON.stringify(line)}\n`)
    .join('');
