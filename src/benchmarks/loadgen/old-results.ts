import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { resultFilePattern } from './config.ts';

/** Removes results of an aborted run, so that an existing result is this run's. */
export async function removeOldResults(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  const old = (await readdir(directory)).filter((name) => resultFilePattern.test(name));
  await Promise.all(old.map((name) => rm(join(directory, name), { force: true })));
}
