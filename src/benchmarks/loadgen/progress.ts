import { rename, writeFile } from 'node:fs/promises';
import type { BenchmarkProgress } from '../../messages/job-directory/result.ts';
import type { Measured } from './figures/measured.ts';

const FILE_MS = 250;
const SAY_MS = 1_000;

/** Progress of a stage; the caller updates the counts. */
export interface Stage {
  readonly stage: BenchmarkProgress['stage'];
  readonly concurrency: number;
  readonly step: number;
  readonly steps: number;
  /** Of a run by time: those sent so far. */
  readonly requestsTotal: number;
  /** When the first measured request of the benchmark was sent, ms since 1970. */
  readonly measuredSince?: number;
  readonly requestsSent: number;
  readonly requestsDone: number;
  readonly failed: number;
  /** Chunks with output: as many as tokens, or fewer. */
  readonly chunks: number;
  /** Those of answers that have ended, and an estimate for the others. */
  readonly outputTokens: number;
  /** Of answers that have ended. */
  readonly latencies: Latencies;
}

/** Mean latencies of answers, ms. Sums alone, because they are updated with each answer. */
export class Latencies {
  #answers = 0;
  #ttftMs = 0;
  #gaps = 0;
  #gapsMs = 0;

  add({ error, chunks, ttftMs, firstAt, lastAt }: Measured): void {
    if (error !== null || chunks === 0) return;
    this.#answers++;
    this.#ttftMs += ttftMs;
    this.#gaps += chunks - 1;
    this.#gapsMs += lastAt - firstAt;
  }

  means(): Pick<BenchmarkProgress, 'ttftMs' | 'itlMs'> {
    return {
      ...(this.#answers > 0 ? { ttftMs: this.#ttftMs / this.#answers } : {}),
      ...(this.#gaps > 0 ? { itlMs: this.#gapsMs / this.#gaps } : {}),
    };
  }
}

/**
 * Output tokens of `chunks` chunks. Usage says how many tokens the `ended` answers had. The other chunks count as many
 * tokens each as those did in the mean, because a chunk may have several.
 */
export function tokensSoFar(
  chunks: number,
  ended: { readonly chunks: number; readonly tokens: number },
): number {
  const perChunk = ended.chunks > 0 ? ended.tokens / ended.chunks : 1;
  return ended.tokens + Math.max(chunks - ended.chunks, 0) * perChunk;
}

/** Reports the progress of a stage until `end`: a file for the coordinator, a line for readers of the log. */
export function reportProgress(file: string, stage: Stage): { end(): Promise<void> } {
  const begin = performance.now();
  let saidAt = begin;
  let writing: Promise<void> = Promise.resolve();
  const tell = (last: boolean): void => {
    const now = performance.now();
    const progress = progressOf(stage, now - begin);
    writing = writing.then(() => writeProgress(file, progress));
    if (!last && now - saidAt < SAY_MS) return;
    saidAt = now;
    process.stdout.write(`${lineOf(progress)}\n`);
  };
  const timer = setInterval(() => tell(false), FILE_MS);
  return {
    async end() {
      clearInterval(timer);
      tell(true);
      await writing;
    },
  };
}

function progressOf(
  { outputTokens, requestsSent, latencies, ...stage }: Stage,
  ms: number,
): BenchmarkProgress {
  return {
    ...stage,
    ...latencies.means(),
    outputThroughput: ms > 0 ? (outputTokens / ms) * 1_000 : 0,
    inFlight: requestsSent - stage.requestsDone,
  };
}

function lineOf({ concurrency, stage, requestsDone, requestsTotal, ...rest }: BenchmarkProgress): string {
  const failed = rest.failed > 0 ? `, ${rest.failed} failed` : '';
  const rate = rest.outputThroughput.toFixed(1);
  return `concurrency ${concurrency} ${stage}: ${requestsDone} of ${requestsTotal} requests${failed}, ${rate} output tokens/s`;
}

/**
 * A reader sees the old or the new file. It need not survive a power cut, and an error must not stop a
 * benchmark.
 */
export async function writeProgress(file: string, progress: BenchmarkProgress): Promise<void> {
  const aside = `${file}.new`;
  await writeFile(aside, JSON.stringify(progress))
    .then(() => rename(aside, file))
    .catch(() => undefined);
}
