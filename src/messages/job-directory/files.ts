import { join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { writePrivateFile } from '../../os/private-files.ts';

/** Written aside, synced and renamed: whole or not at all. `secret` files are 0600. Resolves with its length. */
export async function writeJson(
  path: string,
  value: unknown,
  options: { secret?: boolean } = {},
): Promise<number> {
  const text = `${JSON.stringify(value, null, 2)}\n`;
  await (options.secret ? writePrivateFile(path, text) : writeFileAtomic(path, text, { mode: 0o644 }));
  return text.length;
}

/** Paths below a job's directory that are not a point's or a log. */
export const jobPaths = (jobDir: string, jobId: string) => ({
  spec: join(jobDir, `${jobId}.json`),
  state: join(jobDir, 'state.json'),
  events: join(jobDir, 'events.jsonl'),
  results: join(jobDir, 'results.jsonl'),
  connection: join(jobDir, 'connection.json'),
  /** 0700; one file with the key of each agent. */
  credentials: join(jobDir, '.credentials'),
  logs: join(jobDir, 'logs'),
});
