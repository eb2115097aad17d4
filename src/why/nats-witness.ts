import { dirname } from 'node:path';
import { jobPaths } from '../messages/job-directory/files.ts';
import type { Witness } from './diagnose.ts';
import { errorLine } from './error-line.ts';
import { evidenceOf } from './evidence.ts';
import type { Signature } from './signatures.ts';

/** Signatures of processes that nats-server did not answer, or not in time. */
const COMPLAINTS: ReadonlySet<string> = new Set(['nats-gone', 'infrastructure-missing', 'connection']);
/**
 * `[811] 2026/11/20 09:14:21.120044 [ERR] …`, in the time zone of its machine, which is the coordinator's.
 */
const AT = /^\[\d+\] (\d{4})\/(\d\d)\/(\d\d) (\d\d):(\d\d):(\d\d)/;

/**
 * The job's nats-server as a witness. It is not a process of the plan, so it has no events; only its log
 * shows what it refused (a message that is too large, a login, a slow client). Read only when other processes
 * complain about it, because its log covers the whole job and includes errors of viewers.
 */
export async function natsWitness(
  eventsFile: string,
  since: number,
  others: readonly Witness[],
  signatures: readonly Signature[],
): Promise<Witness | undefined> {
  if (!others.some(({ line }) => COMPLAINTS.has(line?.signature?.id ?? ''))) return undefined;
  const logFile = jobPaths(dirname(eventsFile), '').natsLog;
  const lines = (await evidenceOf({ logFile })).split('\n').filter((line) => timeOf(line) >= since);
  const line = errorLine(lines.join('\n'), signatures);
  if (line?.weight !== 'origin') return undefined;
  const about = { process: 'nats', role: 'nats', node: null, logFile } as const;
  return { ...about, failedAt: null, why: '', exitCode: null, signal: null, line };
}

function timeOf(line: string): number {
  const [, ...parts] = AT.exec(line) ?? [];
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = parts.map(Number);
  return parts.length === 0 ? 0 : new Date(year, month - 1, day, hour, minute, second + 1).getTime();
}
