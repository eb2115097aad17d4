import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type PointResult, pointResultSchema } from '../messages/result.ts';

/** The results that are in a job's directory, in the order of the points; those that cannot be read are left out. */
export async function readPointResults(jobDir: string): Promise<PointResult[]> {
  const points = join(jobDir, 'points');
  const names = await readdir(points).catch(() => []);
  const results: PointResult[] = [];
  for (const name of names) {
    const text = await readFile(join(points, name, 'result.json'), 'utf8').catch(() => '');
    const result = parse(text);
    if (result) results.push(result);
  }
  return results.sort((a, b) => a.ordinal - b.ordinal);
}

function parse(text: string): PointResult | undefined {
  if (text === '') return undefined;
  try {
    return pointResultSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
