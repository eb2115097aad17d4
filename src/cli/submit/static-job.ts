import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import { natsServerFor } from '../../coordinator/bus-server/nats-release.ts';
import { jobPaths } from '../../messages/job-directory/files.ts';
import { modesOf } from '../../model/recipe-of.ts';
import { restartIn } from '../../model/worker-restart.ts';
import { EXIT, SrtctlError } from '../../os/errors.ts';
import { findProgram } from '../../os/find-program.ts';
import { containerRuntimeOf } from '../../platform/container-runtime.ts';
import { runtimesOf } from '../../platform/runtimes.ts';
import { type SlurmAllocation, warningSeconds } from '../../platform/slurm/allocation.ts';
import { sbatchDirectives, timeLimitOf } from '../../platform/slurm/sbatch.ts';
import { timeLimitMs } from '../../recipe/values/time-limit.ts';
import { placeIn } from '../../recipe/variant.ts';
import { usesRegistries } from '../../services/effective.ts';
import { staticScript } from '../../static/script.ts';
import { specInAllocation } from './allocation-job.ts';
import { distDirectory } from './local-job.ts';
import type { PreparedSlurmJob } from './prepared-slurm-job.ts';
import { writeJobDir } from './write-job-dir.ts';

/**
 * A job's run as one bash script.
 * @param log the path for `#SBATCH --output`
 */
export function staticScriptOf(job: PreparedSlurmJob, log: string, options = { mustFind: true }): string {
  const { variant, cluster, nodes, outputs, spec } = job;
  const [first] = variant.points;
  if (!first) throw new TypeError('a variant without points');
  refuseOtherRuntimes(job);
  refuseRestarts(job);
  refuseTerminal(job);
  refuseHostSetup(job);
  const find = (name: 'nats-server' | 'etcd'): string => {
    if (!variant.points.some(({ recipe }) => usesRegistries(recipe))) return name;
    try {
      if (name === 'etcd') return findProgram(name, process.env, process.cwd());
      const recipes = variant.points.map(({ recipe }) => recipe);
      return natsServerFor({ recipes, mock: spec.mock, env: process.env, cwd: process.cwd() }).binary;
    } catch (error) {
      if (options.mustFind) throw error;
      return name;
    }
  };
  const programs = { natsServer: find('nats-server'), etcd: find('etcd') };
  const distDir = distDirectory();
  return staticScript({
    variant,
    cluster,
    directives: sbatchDirectives({ ...first.recipe, name: variant.name }, cluster, nodes),
    log,
    warningS: warningSeconds(timeLimitMs(timeLimitOf(first.recipe, cluster) ?? '')),
    outputs,
    distDir,
    runtimes: runtimesOf(cluster, distDirectory()),
    programs,
    programDirs: [...new Set(Object.values(programs).filter(isAbsolute).map(dirname))],
    mock: spec.mock,
    containers: containerRuntimeOf(cluster, spec) === 'pyxis',
    setupScript: spec.setupScript === null ? null : readFileSync(spec.setupScript, 'utf8'),
    env: process.env,
    exists: existsSync,
    library: readFileSync(join(distDir, 'static.sh'), 'utf8'),
  });
}

function refuseHostSetup({ variant, spec }: PreparedSlurmJob): void {
  if (spec.hostSetup !== true) return;
  throw new SrtctlError('not-static', 'commands on the nodes themselves cannot run in static mode', {
    place: placeIn(variant, ['host_setup']),
    hint: 'omit --no-use-orchestrator, or leave them out with --no-host-setup',
  });
}

/** A script ends a point with its benchmark alone. */
function refuseTerminal({ variant }: PreparedSlurmJob): void {
  const at =
    variant.points[0]?.recipe.services?.findIndex(({ enabled, terminal }) => enabled && terminal) ?? -1;
  if (at < 0) return;
  throw new SrtctlError('not-static', 'a job that ends with a service cannot run in static mode', {
    place: placeIn(variant, ['services', at, 'terminal']),
    hint: 'omit --no-use-orchestrator',
  });
}

function refuseOtherRuntimes({ cluster, spec }: PreparedSlurmJob): void {
  const runtime = cluster.container_runtime ?? 'pyxis';
  if (spec.mock || runtime === 'pyxis' || runtime === 'none') return;
  throw new SrtctlError(
    'not-static',
    `container_runtime: ${runtime} (srtslurm.yaml) cannot be used in static mode`,
    { hint: 'omit --no-use-orchestrator, or use pyxis or none' },
  );
}

function refuseRestarts({ variant }: PreparedSlurmJob): void {
  const refuse = (path: string[], message: string): never => {
    const place = placeIn(variant, path);
    throw new SrtctlError('not-static', message, { place, hint: 'omit --no-use-orchestrator' });
  };
  for (const { recipe } of variant.points) {
    const mode = modesOf(recipe).find((each) => restartIn(recipe, each) !== null);
    const asks =
      mode && recipe.roles?.[mode]?.restart != null ? ['roles', mode, 'restart'] : ['backend', 'failover'];
    if (mode) refuse(asks, 'a worker cannot be started again in static mode');
    if ((recipe.benchmark.clients ?? 1) > 1)
      refuse(['benchmark', 'clients'], 'several clients cannot measure together in static mode');
    if (recipe.experiment?.kill.length)
      refuse(['experiment', 'kill'], 'a worker cannot be killed on schedule in static mode');
  }
}

/** Runs the script in the allocation of this shell. Resolves with its exit code. */
export async function runInAllocation(
  job: PreparedSlurmJob,
  allocation: SlurmAllocation,
  json: boolean,
): Promise<number> {
  const script = staticScriptOf(job, '/dev/null');
  const spec = specInAllocation(job, allocation);
  const { jobId, jobDir } = spec;
  await writeJobDir(spec, job.variant.file, script);
  const { sweepLog } = jobPaths(jobDir, jobId);
  if (!json) process.stdout.write(`job ${jobId} in ${jobDir}\n`);
  const log = await open(sweepLog, 'a', 0o644);
  const child = spawn('bash', [join(jobDir, 'sbatch_script.sh')], {
    detached: true,
    stdio: ['ignore', 'pipe', log.fd],
    env: { ...process.env, SRTCTL_JOB_ID: jobId },
  });
  child.stdout?.on('data', (text: Buffer) => {
    if (!json) process.stdout.write(text);
    void log.write(text);
  });
  const [onInterrupt, onTerminate] = [() => child.kill('SIGINT'), () => child.kill('SIGTERM')];
  process.on('SIGINT', onInterrupt);
  process.on('SIGTERM', onTerminate);
  try {
    const exitCode = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve(code ?? EXIT.failed));
    });
    if (json) process.stdout.write(`${JSON.stringify({ kind: 'static', jobId, jobDir, exitCode })}\n`);
    return exitCode;
  } finally {
    process.off('SIGINT', onInterrupt);
    process.off('SIGTERM', onTerminate);
    await log.close();
  }
}
