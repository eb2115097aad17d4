import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BenchmarkProgress } from '../../messages/job-directory/result.ts';
import { type AccuracyConfig, PROGRESS_FILE } from './config.ts';

const EVERY_MS = 1_000;

/** Reads the tools' progress bars (tqdm: ` 12%|█▏        | 12/100 [00:03<…`) and keeps progress.json up to date. */
export class Progress {
  readonly #config: Pick<AccuracyConfig, 'resultDir' | 'threads' | 'runs'>;
  #run = 0;
  #done = 0;
  #total = 0;
  #writtenAt = Number.NEGATIVE_INFINITY;

  constructor(config: Pick<AccuracyConfig, 'resultDir' | 'threads' | 'runs'>) {
    this.#config = config;
  }

  begin(run: number): void {
    this.#run = run;
    this.#done = 0;
  }

  readonly line = (text: string): void => {
    const [, done, total] = /\|\s*(\d+)\/(\d+) \[/.exec(text) ?? [];
    if (done === undefined) return;
    // Bars for data that is loaded come before that of the questions, and each repeat has a bar.
    this.#done = Number(done);
    this.#total = Number(total);
    const now = performance.now();
    if (now - this.#writtenAt < EVERY_MS && this.#done < this.#total) return;
    this.#writtenAt = now;
    this.#write('measure');
  };

  end(): void {
    this.#write('done');
  }

  #write(stage: BenchmarkProgress['stage']): void {
    const { resultDir, threads, runs } = this.#config;
    const progress: BenchmarkProgress = {
      stage,
      concurrency: threads,
      ...{ step: this.#run + 1, steps: runs.length },
      ...{ requestsDone: this.#done, requestsTotal: this.#total },
      ...{ failed: 0, outputThroughput: 0 },
    };
    const file = join(resultDir, PROGRESS_FILE);
    writeFileSync(`${file}.new`, JSON.stringify(progress));
    renameSync(`${file}.new`, file);
  }
}
