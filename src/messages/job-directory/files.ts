import { join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { writePrivateFile } from '../../os/files/private-files.ts';

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

/** Name of the file with nats-server's log. */
export const NATS_LOG = 'nats.log';

/** Name of the file with the output of the coordinator and of the script around it. */
const sweepLogName = (jobId: string): string => `sweep_${jobId}.log`;

/** Name of the file with an agent's output: `<agent>_agent.out`. */
export const agentLogName = (agent: string): string => `${agent.replace('/', '_')}_agent.out`;

/** The agent's name in the name of its log; undefined for another file. */
export const agentOfLog = (name: string): string | undefined => /^(.+)_agent\.out$/.exec(name)?.[1];

/** Paths below a job's directory, except those of points and of the plan's processes. */
export const jobPaths = (jobDir: string, jobId: string) => ({
  spec: join(jobDir, `${jobId}.json`),
  state: join(jobDir, 'state.json'),
  events: join(jobDir, 'events.jsonl'),
  results: join(jobDir, 'results.jsonl'),
  connection: join(jobDir, 'connection.json'),
  /** 0600: the key (nkey seed) with which others may watch the job's bus. */
  readerKey: join(jobDir, 'bus-reader.nk'),
  /** Certificate (PEM) of the job's authority, where the bus is encrypted. */
  authority: join(jobDir, 'bus-ca.pem'),
  /** 0700; contains one file for each agent's key. */
  credentials: join(jobDir, '.credentials'),
  logs: join(jobDir, 'logs'),
  /** Samples of the telemetry, as Parquet, and as logs that are not packed yet. */
  samples: join(jobDir, 'telemetry', 'samples'),
  /** Points and measured windows, as Parquet. */
  windows: join(jobDir, 'telemetry', 'windows.parquet'),
  sweepLog: join(jobDir, 'logs', sweepLogName(jobId)),
  natsLog: join(jobDir, 'logs', NATS_LOG),
});
