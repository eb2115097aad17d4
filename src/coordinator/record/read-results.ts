import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type PointResult, pointResultSchema } from '../../messages/job-directory/result.ts';

export interface PointOnDisk {
  readonly dir: string;
  readonly result: PointResult;
}

/** The points with a result in a job's directory, in their order; results that cannot be read are left out. */
export async function readPoints(jobDir: string): Promise<PointOnDisk[]> {
  const points = join(jobDir, 'points');
  const found: PointOnDisk[] = [];
  for (const name of await readdir(points).catch(() => [])) {
    const dir = join(points, name);
    const result = parse(await readFile(join(dir, 'result.json'), 'utf8').catch(() => ''));
    if (result) found.push({ dir, result });
  }
  return found.sort((a, b) => a.result.ordinal - b.result.ordinal);
}

export const readPointResults = async (jobDir: string): Promise<PointResult[]> =>
  (await readPoints(jobDir)).map(({ result }) => result);

function parse(text: string): PointResult | undefined {
  if (text === '') return undefined;
  try {
    return pointResultSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
