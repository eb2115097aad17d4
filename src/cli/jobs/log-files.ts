import { existsSync } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { closest } from 'fastest-levenshtein';
import { agentOfSource } from '../../messages/events/authorship.ts';
import type { SrtEvent } from '../../messages/events/events.ts';
import { agentOfLog, jobPaths } from '../../messages/job-directory/files.ts';
import { SrtctlError } from '../../os/errors.ts';
import { type JobOnDisk, readEvents } from './job-dir.ts';

export interface LogFile {
  readonly process: string;
  /**
   * The agent that runs the process; null for the coordinator, nats-server and agents, whose logs are only
   * files.
   */
  readonly agent: string | null;
  readonly file: string;
  /** Bytes. */
  readonly size: number;
}

/** Every log of a job: those of its processes, named in their events, and those of srtctl itself. */
export async function logFilesOf(job: JobOnDisk): Promise<LogFile[]> {
  const found = new Map<string, { agent: string | null; file: string }>();
  for (const event of await readEvents(job))
    if (event.kind === 'process.transition')
      found.set(event.process, { agent: agentOf(event), file: event.logFile });
  const { logs, sweepLog, natsLog } = jobPaths(job.jobDir, job.jobId);
  found.set('coordinator', { agent: null, file: sweepLog });
  found.set('nats', { agent: null, file: natsLog });
  for (const name of existsSync(logs) ? await readdir(logs) : []) {
    const agent = agentOfLog(name);
    if (agent !== undefined) found.set(`agent-${agent}`, { agent: null, file: join(logs, name) });
  }
  // `<log>.<n>` is the log of a worker before its nth restart.
  for (const name of existsSync(logs) ? await readdir(logs) : []) {
    const [, own, number] = /^(.+)\.(\d+)$/.exec(name) ?? [];
    if (own === undefined) continue;
    const [process] = [...found].find(([, { file }]) => file === join(logs, own)) ?? [];
    if (process !== undefined) found.set(`${process}.${number}`, { agent: null, file: join(logs, name) });
  }
  const sized = await Promise.all(
    [...found].map(async ([process, { agent, file }]) => ({
      process,
      agent,
      file,
      size: await stat(file).then(
        ({ size }) => size,
        () => 0,
      ),
    })),
  );
  return sized.sort((a, b) => a.process.localeCompare(b.process, 'en', { numeric: true }));
}

/**
 * A node may have several agents, one for each image; the source of a process's event is the one that runs
 * it.
 */
const agentOf = ({ source, node }: SrtEvent & { readonly node: string }): string =>
  agentOfSource(source) ?? node;

/** The error for an unknown name, with the nearest known one. */
export function unknownProcess(name: string, known: readonly LogFile[]): SrtctlError {
  const nearest = closest(
    name,
    known.map((log) => log.process),
  );
  return new SrtctlError('unknown-process', `this job has no process ${name}`, {
    hint: `did you mean ${nearest}?`,
  });
}
