import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { natsServerFor } from '../../coordinator/bus-server/nats-release.ts';
import { Tables } from '../../engine-options/table.ts';
import { jobPaths } from '../../messages/job-directory/files.ts';
import type { JobSpec } from '../../messages/job-directory/job-files.ts';
import { EXIT, SrtctlError } from '../../os/errors.ts';
import { findProgram } from '../../os/find-program.ts';
import { machineHasGpus } from '../../os/machine.ts';
import { OptionWarnings } from '../../plan/options/option-warnings.ts';
import { nodesNeeded, nodesToAllocate, requirePlannable } from '../../plan/plan.ts';
import { createRuntimeContext, dryRunInput } from '../../plan/runtime-context.ts';
import { containerRuntimeOf } from '../../platform/container-runtime.ts';
import { runsHostSetup } from '../../recipe/checks/host-setup.ts';
import { requireRunnable } from '../../recipe/checks/runnable.ts';
import { warningsOf } from '../../recipe/checks/warnings.ts';
import { findRecipes, type LoadedVariant, loadAll, parseEdits } from '../../recipe/load.ts';
import { type ClusterConfig, findClusterConfig } from '../../recipe/schema/cluster.ts';
import { runsEtcd } from '../../services/effective.ts';
import { sayEnd, sayLine, submittedLine } from '../jobs/json-lines.ts';
import { type EditOptions, editTexts } from '../terminal/options.ts';
import { followJob } from '../view/follow.ts';
import { exitCodeOfJob, superviseCoordinator, whenSpawned } from './coordinator-process.ts';
import { endOrphanedCoordinator } from './end-orphaned-coordinator.ts';
import type { Resumption } from './resumed-job.ts';
import { pinAll, splitAll } from './split-all.ts';
import { warnOnce } from './warn.ts';
import { writeJobDir } from './write-job-dir.ts';

export interface LocalJobOptions extends EditOptions {
  readonly file: readonly string[];
  readonly allowUnknown?: boolean;
  readonly nodes?: number;
  readonly mock?: boolean;
  readonly port?: number;
  readonly output?: string;
  readonly setupScript?: string;
  readonly hostSetup?: boolean;
  readonly tags?: string;
  readonly serveOnly?: boolean;
}

/** A checked and planned job with no files yet. */
export interface PreparedJob {
  readonly spec: Omit<JobSpec, 'jobId' | 'jobDir' | 'submittedAt'>;
  readonly outputs: string;
  /** The recipe's file. */
  readonly source: string;
}

/**
 * Loads, checks and plans everything before anything starts; throws errors that a person can correct (exit
 * code 2).
 */
export async function prepareLocalJobs(options: LocalJobOptions): Promise<PreparedJob[]> {
  const cwd = process.cwd();
  const onUnknownKey = options.allowUnknown ? warnOnce() : undefined;
  const cluster = findClusterConfig(process.env, cwd, onUnknownKey);
  const edits = parseEdits(editTexts(options));
  const files = await findRecipes(options.file);
  const loaded = loadAll(files, { cluster, env: process.env, onUnknownKey, edits });
  const variants = await pinAll(splitAll(loaded, cluster, options), options);
  const mock = options.mock === true;
  const runtime = containerRuntimeOf(cluster, { mock, mode: 'local' });
  const tables = new Tables();
  const jobs = variants.map((variant) => {
    requireRunnable(variant, { mock, containers: runtime !== 'none', runtime, slurm: false });
    const hostSetup = runsHostSetup(variant, { mode: 'local', mock, told: options.hostSetup });
    const way = { mock, containers: !mock && runtime !== 'none', runtime, hostSetup };
    for (const line of warningsOf(variant, way, cluster)) process.stderr.write(`srtctl: warning: ${line}\n`);
    const nodes = nodeNames(variant, options.nodes);
    // Planned only to find errors; the coordinator plans again when it knows the addresses.
    const warned = new OptionWarnings(variant, tables);
    const context = createRuntimeContext(dryRunInput(nodes, cluster));
    requirePlannable(variant, context, mock ? undefined : warned.look);
    for (const line of warned.lines) process.stderr.write(`srtctl: warning: ${line}\n`);
    return {
      source: variant.file,
      outputs: resolve(cwd, options.output ?? process.env.SRTCTL_OUTPUT ?? 'outputs'),
      spec: {
        v: 1 as const,
        name: variant.name,
        mode: 'local' as const,
        mock,
        ...(options.port === undefined ? {} : { entryPort: options.port }),
        ...(options.serveOnly ? { serveOnly: true } : {}),
        ...(hostSetup ? { hostSetup } : {}),
        tags: (options.tags ?? '').split(',').filter((tag) => tag !== ''),
        nodes,
        setupScript: setupScriptOf(variant, cluster, options),
        variant,
        cluster,
      },
    };
  });
  if (!mock && !machineHasGpus())
    process.stderr.write(
      'srtctl: warning: this machine has no GPU: engines are started with CUDA_VISIBLE_DEVICES empty\n',
    );
  const recipes = variants.flatMap((variant) => variant.points.map((point) => point.recipe));
  const { warning } = natsServerFor({ recipes, mock, env: process.env, cwd });
  if (warning !== undefined) process.stderr.write(`srtctl: warning: ${warning}\n`);
  if (recipes.some(runsEtcd)) findProgram('etcd', process.env, cwd);
  return jobs;
}

/**
 * The script of --setup-script, or of the recipe's setup_script: below the recipe's directory, the working
 * directory or the `configs` of either or of srtctl_root.
 * @throws SrtctlError when none of them has it; with simulated engines a recipe's script is not needed
 */
export function setupScriptOf(
  variant: LoadedVariant,
  cluster: ClusterConfig,
  options: LocalJobOptions,
): string | null {
  const told =
    options.setupScript ?? variant.points.find((point) => point.recipe.setup_script)?.recipe.setup_script;
  if (!told) return null;
  const roots = [
    process.cwd(),
    dirname(resolve(variant.file)),
    ...(cluster.srtctl_root ? [cluster.srtctl_root] : []),
  ];
  const places = isAbsolute(told)
    ? [told]
    : roots.flatMap((root) => [join(root, told), join(root, 'configs', told)]);
  const found = places.find((place) => existsSync(place));
  if (found) return found;
  if (options.mock && options.setupScript === undefined) {
    process.stderr.write(
      `srtctl: setup script ${told} does not exist and is skipped, because --mock does not need it\n`,
    );
    return null;
  }
  const path = options.setupScript === undefined ? 'setup_script' : '--setup-script';
  throw new SrtctlError('no-setup-script', `setup script ${told} does not exist`, {
    place: { file: variant.file, path },
    hint: `looked for ${places.join(', ')}`,
  });
}

function nodeNames(variant: LoadedVariant, wanted: number | undefined): string[] {
  const needed = nodesNeeded(variant);
  if (wanted !== undefined && wanted < needed)
    throw new SrtctlError('too-few-nodes', `${variant.file} needs ${needed} nodes; --nodes says ${wanted}`, {
      place: { file: variant.file, path: 'resources' },
    });
  return Array.from({ length: wanted ?? nodesToAllocate(variant) }, (_, index) => `node${index + 1}`);
}

/**
 * Makes the job's directory, starts its coordinator and follows it to the end. Resolves with the exit code.
 */
export async function runLocalJob(
  job: PreparedJob,
  view: { json: boolean; quiet?: boolean },
  resumption?: Resumption,
): Promise<number> {
  const now = new Date();
  const stamp = now.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
  const jobId = `local-${stamp}-${randomBytes(2).toString('hex')}`;
  const jobDir = join(job.outputs, jobId);
  const paths = jobPaths(jobDir, jobId);
  const spec: JobSpec = { ...job.spec, jobId, jobDir, submittedAt: now.toISOString() };
  await writeJobDir(spec, job.source, null, resumption);
  if (view.quiet && view.json) sayLine(submittedLine(spec, spec.nodes.length));
  else if (!view.json && (view.quiet || !process.stdout.isTTY))
    process.stdout.write(`job ${jobId} in ${jobDir}\n`);
  const coordinator = await superviseCoordinator(() => startCoordinator(paths.spec, paths.sweepLog));
  const { ended } = coordinator;
  // A signal ends a coordinator at once that has not installed its handlers yet.
  let asked: number | undefined;
  const forward = (signal: NodeJS.Signals, exitCode: number) => () => {
    asked = exitCode;
    coordinator.kill(signal);
  };
  const onInterrupt = forward('SIGINT', EXIT.interrupted);
  const onTerminate = forward('SIGTERM', EXIT.terminated);
  process.on('SIGINT', onInterrupt);
  process.on('SIGTERM', onTerminate);
  try {
    const followed = await followJob({
      ...{ job: { jobId, jobDir, spec }, json: view.json, quiet: view.quiet === true },
      coordinator: ended,
    });
    const { exitCode } = await ended;
    await endOrphanedCoordinator(jobId);
    const code = exitCodeOfJob(exitCode, asked, followed.exitCode);
    if (view.quiet) sayEnd(spec, { ...followed, exitCode: code }, view.json);
    return code;
  } finally {
    process.off('SIGINT', onInterrupt);
    process.off('SIGTERM', onTerminate);
  }
}

/**
 * The coordinator runs in its own process group, so that Ctrl-C reaches it only as a request from this
 * command.
 */
export async function startCoordinator(specFile: string, logFile: string): Promise<ChildProcess> {
  const main = join(distDirectory(), 'coordinator.js');
  const log = await open(logFile, 'a', 0o644);
  try {
    const child = spawn(process.execPath, [main, specFile], {
      detached: true,
      stdio: ['ignore', log.fd, log.fd, 'ipc'],
    });
    return await whenSpawned(child, process.execPath);
  } finally {
    await log.close();
  }
}

/** The directory of srtctl's bundled programs, which contains this file, possibly in its chunks/. */
export function distDirectory(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  const found = [here, dirname(here)].find((dir) => existsSync(join(dir, 'coordinator.js')));
  if (found) return found;
  throw new SrtctlError('not-built', 'dist/coordinator.js is missing', { hint: 'run `make build`' });
}
