import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { unfinishedResult } from '../../benchmarks/partial-result.ts';
import type { BenchmarkResult } from '../../messages/job-directory/result.ts';

export interface UnfinishedPoint {
  readonly ordinal: number;
  readonly benchmark: BenchmarkResult;
}

/**
 * The figures so far of points without a result.json: points that run, or whose coordinator was killed. Only for
 * benchmarks that write figures while they run.
 */
export async function readUnfinished(jobDir: string): Promise<UnfinishedPoint[]> {
  const points = join(jobDir, 'points');
  const found: UnfinishedPoint[] = [];
  for (const name of (await readdir(points).catch(() => [])).sort()) {
    const resultDir = join(points, name);
    const number = /^\d+(?=-)/.exec(name)?.[0];
    const files: string[] = await readdir(resultDir).catch(() => []);
    if (number === undefined || files.includes('result.json')) continue;
    const benchmark = await unfinishedResult(resultDir);
    if (benchmark) found.push({ ordinal: Number(number), benchmark });
  }
  return found;
}
