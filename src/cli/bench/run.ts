import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readFigures } from '../../benchmarks/sa-bench-result.ts';
import { CONFIG_FILE } from '../../benchmarks/sa-bench-settings.ts';
import type { BenchmarkResult } from '../../messages/job-directory/result.ts';
import { EXIT } from '../../os/errors.ts';
import { cannotWrite, makeNamedDirectory } from '../../os/files/make-directories.ts';
import { distDirectory } from '../submit/local-job.ts';
import { type BenchRun, placed } from './settings.ts';

export interface BenchOutcome {
  readonly name: string;
  /** null: it ended before it had figures. */
  readonly result: BenchmarkResult | null;
  /** Exit code of the load generator. */
  readonly exitCode: number;
}

/**
 * Runs the load generator in a process of its own, as a recipe does, and reads its figures.
 * @param directory where its files go
 * @param output gets what it prints, which is progress for people
 */
export async function runBench(
  { name, config }: BenchRun,
  directory: string,
  output: NodeJS.WritableStream,
  signal: AbortSignal,
): Promise<BenchOutcome> {
  makeNamedDirectory(directory);
  const file = join(directory, CONFIG_FILE);
  await writeFile(file, `${JSON.stringify(placed(config, directory), null, 2)}\n`).catch((error: unknown) => {
    throw cannotWrite(file, error);
  });
  const child = spawn(process.execPath, [join(distDirectory(), 'loadgen.js'), '--config', file], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child.stdout.pipe(output, { end: false });
  const stop = () => child.kill('SIGTERM');
  if (signal.aborted) stop();
  signal.addEventListener('abort', stop, { once: true });
  const exitCode = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code ?? EXIT.failed));
  });
  signal.removeEventListener('abort', stop);
  const result = await readFigures(directory, false).catch(() => null);
  return { name, result: result && result.serving.length > 0 ? result : null, exitCode };
}
