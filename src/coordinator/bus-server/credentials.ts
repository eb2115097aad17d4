import { rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { toToken } from '../../messages/events/subjects.ts';
import { jobPaths, writeJson } from '../../messages/job-directory/files.ts';
import type {
  AgentConfig,
  Connection,
  JobSpec,
  TelemetrySettings,
} from '../../messages/job-directory/job-files.ts';
import { makePrivateDirectory, writePrivateFile } from '../../os/files/private-files.ts';
import type { Platform } from '../../platform/launch/launcher.ts';
import { aliveFile } from '../record/alive-file.ts';
import type { JobKeys } from './keys.ts';
import type { NatsServer } from './nats-server.ts';

/** Settings that all agents of a job share. */
export type AgentExtras = Pick<
  AgentConfig,
  'networkInterface' | 'nodeBinary' | 'path' | 'tmpDir' | 'containers' | 'mpi' | 'staysForTeardown' | 'exec'
> & {
  readonly telemetry?: Omit<TelemetrySettings, 'machine'>;
  /** Prefix of the path of each agent's own directory on its node. */
  readonly stopDirs: string;
};

type Job = Pick<JobSpec, 'jobDir' | 'jobId'>;

/** The file (0600, in a directory with mode 0700) with one agent's key and the address of the bus. */
export const agentConfigFile = ({ jobDir, jobId }: Job, node: string): string =>
  join(jobPaths(jobDir, jobId).credentials, `agent-${toToken(node)}.json`);

/** Writes a config for each agent, connection.json for the user who owns the job, and the key of readers. */
export async function writeCredentials(job: {
  spec: JobSpec;
  keys: JobKeys;
  nats: NatsServer;
  platform: Platform;
  agentExtras: AgentExtras;
}): Promise<void> {
  const { spec, keys, nats, platform, agentExtras } = job;
  const { jobId, jobDir } = spec;
  const { stopDirs, telemetry, ...extras } = agentExtras;
  const paths = jobPaths(jobDir, jobId);
  makePrivateDirectory(paths.credentials);
  const ca = keys.tls === undefined ? {} : { ca: keys.tls.ca };
  const allocation = spec.slurm?.own
    ? {
        slurmJobId: spec.slurm.jobId,
        head: hostname(),
        aliveFile: aliveFile(jobDir),
        logFile: paths.sweepLog,
      }
    : undefined;
  await Promise.all(
    [...keys.agents].map(([node, { seed }]) => {
      const address = platform.addresses.get(node) ?? null;
      const config: AgentConfig = {
        v: 1,
        jobId,
        node,
        address,
        url: nats.url,
        seed,
        logDir: paths.logs,
        ...ca,
        ...extras,
        ...(telemetry
          ? {
              telemetry: {
                ...telemetry,
                machine: readerOfMachine(spec, node) === node && !node.includes('/'),
              },
            }
          : {}),
        ...(allocation ? { allocation } : {}),
        ...(extras.containers || extras.mpi ? { stopDir: `${stopDirs}-${toToken(node)}` } : {}),
      };
      return writeJson(agentConfigFile(spec, node), config, { secret: true });
    }),
  );
  const connection: Connection = { v: 1, jobId, url: nats.url, operatorSeed: keys.operator.seed, ...ca };
  await writeJson(paths.connection, connection, { secret: true });
  await writePrivateFile(paths.readerKey, `${keys.reader.seed}\n`);
  if (keys.tls !== undefined) await writePrivateFile(paths.authority, keys.tls.ca);
}

/** The agent that reads a node and its GPUs: nodes of a local job are one machine, and a node may have several agents. */
export const readerOfMachine = ({ mode, nodes }: Pick<JobSpec, 'mode' | 'nodes'>, node: string): string =>
  mode === 'local' ? (nodes[0] ?? node) : node;

/** Removes the keys, which have no use after the job's nats-server has ended. */
export async function removeCredentials({ jobDir, jobId }: Job): Promise<void> {
  const paths = jobPaths(jobDir, jobId);
  await rm(paths.credentials, { recursive: true, force: true });
  for (const file of [paths.connection, paths.readerKey, paths.authority]) await rm(file, { force: true });
}
