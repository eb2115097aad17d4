import { appendFile, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentConfig } from '../../messages/job-directory/job-files.ts';
import { outputOf } from '../../os/processes/output-of.ts';

/** How long the coordinator's file must be unchanged, ms: six of its intervals. */
const STILL_MS = 30_000;
/** Random delay, so that a thousand agents do not query Slurm at once. */
const SPREAD_MS = 5_000;
const SCANCEL_MS = 60_000;

export interface OrphanedJob {
  readonly config: Pick<AgentConfig, 'node' | 'allocation'>;
  readonly why: string;
  readonly log: { warn(detail: object, text: string): void };
  /** For tests: how long the file must be unchanged, and the command that ends the job. */
  readonly stillMs?: number;
  readonly spreadMs?: number;
  readonly cancel?: (slurmJobId: string) => Promise<unknown>;
}

/**
 * Ends the job in Slurm when its coordinator is gone for good, as when the head node lost its power. With --no-kill the
 * job would hold its other nodes until the time limit, with nothing running on them. Called when this agent's lease has
 * expired and its processes have ended. An agent that is merely cut off finds that the coordinator's file still changes.
 * @returns true when it ended the job
 */
export async function endOrphanedJob(job: OrphanedJob): Promise<boolean> {
  const { config, why, log, stillMs = STILL_MS, spreadMs = SPREAD_MS, cancel = scancel } = job;
  const { allocation } = config;
  if (!allocation) return false;
  const before = await content(allocation.aliveFile);
  await sleep(stillMs + Math.random() * spreadMs);
  const after = await content(allocation.aliveFile);
  // Without the file the coordinator's state is unknown: the file system is away, or the job has ended in
  // good order.
  if (before === undefined || after !== before) return false;
  const line = `srtctl: the head node ${allocation.head} is lost, and with it the coordinator: ${config.node} lost contact (${why}) and ended the job\n`;
  await appendFile(allocation.logFile, line).catch(() => undefined);
  log.warn({ slurmJobId: allocation.slurmJobId }, line.trim());
  try {
    await cancel(allocation.slurmJobId);
    return true;
  } catch (error) {
    log.warn({ error: String(error) }, 'scancel failed');
    return false;
  }
}

const scancel = (slurmJobId: string): Promise<unknown> =>
  outputOf('scancel', [slurmJobId], { timeoutMs: SCANCEL_MS });

/** Opened anew each time, because NFS then asks the server again. undefined: unreadable. */
const content = (path: string): Promise<string | undefined> => readFile(path, 'utf8').catch(() => undefined);
