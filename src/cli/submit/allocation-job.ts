import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { cancelReplySchema } from '../../messages/events/control.ts';
import { WIRE_VERSION } from '../../messages/events/events.ts';
import { subjectsOf } from '../../messages/events/subjects.ts';
import { jobPaths } from '../../messages/job-directory/files.ts';
import type { JobSpec } from '../../messages/job-directory/job-files.ts';
import { EXIT, SrtctlError } from '../../os/errors.ts';
import { BESIDE_OTHERS, optionWords } from '../../platform/containers/srun-options.ts';
import { stepEnvironment } from '../../platform/containers/step-environment.ts';
import type { SlurmAllocation } from '../../platform/slurm/allocation.ts';
import { connectOperator } from '../jobs/operator-bus.ts';
import { followJob } from '../view/follow.ts';
import {
  exitCodeOfJob,
  type SupervisedCoordinator,
  superviseCoordinator,
  whenSpawned,
} from './coordinator-process.ts';
import { distDirectory } from './local-job.ts';
import type { PreparedSlurmJob } from './prepared-slurm-job.ts';
import type { Resumption } from './resumed-job.ts';
import { writeJobDir } from './write-job-dir.ts';

/**
 * Runs a job in the allocation of this shell, with its coordinator on the head node, and follows it to its
 * end.
 */
export async function runInAllocation(
  job: PreparedSlurmJob,
  allocation: SlurmAllocation,
  json: boolean,
  resumption?: Resumption,
): Promise<number> {
  if (job.nodes > allocation.nodes.length)
    throw new SrtctlError(
      'too-few-nodes',
      `the recipe needs ${job.nodes} nodes, but this allocation has ${allocation.nodes.length}`,
      { place: { file: job.variant.file, path: 'resources' }, hint: `salloc --nodes=${job.nodes} …` },
    );
  const spec = specInAllocation(job, allocation);
  const { jobId, jobDir } = spec;
  await writeJobDir(spec, job.source, null, resumption);
  if (!json && !process.stdout.isTTY) process.stdout.write(`job ${jobId} in ${jobDir}\n`);
  const coordinator = await superviseCoordinator(() => startOnHead(spec, allocation));
  const { ended } = coordinator;
  let asked: number | undefined;
  const stop = (exitCode: number) => () => {
    asked = exitCode;
    coordinator.stopRestarting();
    void askToStop(spec, coordinator);
  };
  const [onInterrupt, onTerminate] = [stop(EXIT.interrupted), stop(EXIT.terminated)];
  process.on('SIGINT', onInterrupt);
  process.on('SIGTERM', onTerminate);
  try {
    const followed = await followJob({ job: { jobId, jobDir, spec }, json, coordinator: ended });
    const { exitCode } = await ended;
    return exitCodeOfJob(exitCode, asked, followed.exitCode);
  } finally {
    process.off('SIGINT', onInterrupt);
    process.off('SIGTERM', onTerminate);
  }
}

/** The job's spec for an existing allocation, all of whose nodes it uses. */
export function specInAllocation(job: PreparedSlurmJob, allocation: SlurmAllocation): JobSpec {
  const jobId = freeId(job.outputs, allocation.jobId);
  return {
    ...job.spec,
    jobId,
    jobDir: join(job.outputs, jobId),
    nodes: [...allocation.nodes],
    submittedAt: new Date().toISOString(),
    slurm: { jobId: allocation.jobId, own: false },
  };
}

/** One allocation may run several jobs: `123`, then `123-2`, `123-3`. */
function freeId(outputs: string, slurmId: string): string {
  let id = slurmId;
  for (let number = 2; existsSync(join(outputs, id)); number++) id = `${slurmId}-${number}`;
  return id;
}

/**
 * A process of its own on the head node, a step on the head from any other machine (salloc on a login node).
 */
async function startOnHead(spec: JobSpec, { nodes }: SlurmAllocation): Promise<ChildProcess> {
  const [head = ''] = nodes;
  const paths = jobPaths(spec.jobDir, spec.jobId);
  const command = [process.execPath, join(distDirectory(), 'coordinator.js'), paths.spec];
  const onHead = (process.env.SLURMD_NODENAME ?? hostname()) === head;
  const step = [
    ...['srun', ...optionWords(BESIDE_OTHERS), '--nodes=1', '--ntasks=1', `--nodelist=${head}`],
    ...['--mpi=none', '--input=none', '--job-name=srtctl-coordinator', '--unbuffered'],
  ];
  const [program = '', ...args] = onHead ? command : [...step, ...command];
  const log = await open(paths.sweepLog, 'a', 0o644);
  try {
    const child = spawn(program, args, {
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
      env: stepEnvironment(process.env),
    });
    return await whenSpawned(child, program);
  } finally {
    await log.close();
  }
}

/** Sends the request over the bus, because a signal to srun might kill the coordinator at once. */
async function askToStop(spec: JobSpec, coordinator: SupervisedCoordinator): Promise<void> {
  const { jobId, jobDir } = spec;
  const bus = await connectOperator({ jobId, jobDir, spec }, 'apply');
  try {
    if (!bus) throw new Error('no bus');
    await bus.request(subjectsOf(jobId).cancel, { v: WIRE_VERSION, by: 'apply' }, cancelReplySchema, 5_000);
  } catch {
    coordinator.kill('SIGTERM');
  } finally {
    await bus?.close(500);
  }
}
