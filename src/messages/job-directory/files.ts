import { join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { writePrivateFile } from '../../os/private-files.ts';

/**
 * Writes a temporary file, syncs and renames it, so the file is complete or absent. `secret` files are 0600.
 * Resolves with its length.
 */
export async function writeJson(
  path: string,
  value: unknown,
  options: { secret?: boolean } = {},
): Promise<number> {
  const text = `${JSON.stringify(value, null, 2)}\n`;
  await (options.secret ? writePrivateFile(path, text) : writeFileAtomic(path, text, { mode: 0o644 }));
  return text.length;
}

/** Paths below a job's directory, except those of points and logs. */
export const jobPaths = (jobDir: string, jobId: string) => ({
  spec: join(jobDir, `${jobId}.json`),
  state: join(jobDir, 'state.json'),
  events: join(jobDir, 'events.jsonl'),
  results: join(jobDir, 'results.jsonl'),
  connection: join(jobDir, 'connection.json'),
  /** 0700; contains one file for each agent's key. */
  credentials: join(jobDir, '.credentials'),
  logs: join(jobDir, 'logs'),
});
