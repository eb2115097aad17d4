import type { Logger } from 'pino';
import { jobPaths } from '../../messages/job-directory/files.ts';
import type { JobSpec } from '../../messages/job-directory/job-files.ts';
import { readPointResults } from './read-results.ts';

/** How much the coordinator packs at the end of a job, bytes: agents pack their own large logs. */
const MOST_BYTES = 256 * 1024 * 1024;

/** Packs what agents have left, and writes when each point and each window was. Never rejects: results do not depend on it. */
export async function finishTelemetry(
  { jobDir, jobId }: Pick<JobSpec, 'jobDir' | 'jobId'>,
  log: Pick<Logger, 'warn'>,
): Promise<void> {
  const { samples, windows } = jobPaths(jobDir, jobId);
  try {
    // What writes Parquet is only needed at the end, and a coordinator starts without it.
    const { packLogs } = await import('../../telemetry/pack.ts');
    const { writeWindows } = await import('../../telemetry/windows.ts');
    await packLogs(samples, MOST_BYTES);
    await writeWindows(windows, await readPointResults(jobDir));
  } catch (error) {
    log.warn({ error: String(error) }, 'the telemetry is not packed');
  }
}
