import { join, resolve } from 'node:path';
import { natsServerFor } from '../../coordinator/bus-server/nats-release.ts';
import { Tables } from '../../engine-options/table.ts';
import type { JobSpec } from '../../messages/job-directory/job-files.ts';
import { EXIT, SrtctlError } from '../../os/errors.ts';
import type { Look } from '../../plan/catalogue.ts';
import { OptionWarnings } from '../../plan/options/option-warnings.ts';
import { nodesToAllocate, requirePlannable } from '../../plan/plan.ts';
import { createRuntimeContext, dryRunInput } from '../../plan/runtime-context.ts';
import { containerRuntimeOf } from '../../platform/container-runtime.ts';
import { runtimesOf } from '../../platform/runtimes.ts';
import { allocationOf, warningSeconds } from '../../platform/slurm/allocation.ts';
import { batchLog, batchScript } from '../../platform/slurm/batch-script.ts';
import { slurm } from '../../platform/slurm/commands.ts';
import { refuseArrays, refuseExclusive, sbatchDirectives, timeLimitOf } from '../../platform/slurm/sbatch.ts';
import type { StagedJob } from '../../platform/slurm/staged-job.ts';
import { refuseTooLarge, release, submitHeld } from '../../platform/slurm/submit.ts';
import { runsHostSetup } from '../../recipe/checks/host-setup.ts';
import { existsFor, requireRunnable } from '../../recipe/checks/runnable.ts';
import { warningsOf } from '../../recipe/checks/warnings.ts';
import { findRecipes, type LoadedVariant, loadAll, parseEdits } from '../../recipe/load.ts';
import { type ClusterConfig, findClusterConfig } from '../../recipe/schema/cluster.ts';
import { isReported } from '../../recipe/schema/reporting.ts';
import { timeLimitMs } from '../../recipe/values/time-limit.ts';
import { placeIn } from '../../recipe/variant.ts';
import { estimateOf, estimateText, mostGpuHours } from '../dry-run/estimate.ts';
import { sayEnd, sayLine, submittedLine } from '../jobs/json-lines.ts';
import { ask } from '../terminal/ask.ts';
import { type EditOptions, editTexts } from '../terminal/options.ts';
import { announceJob } from './announce-job.ts';
import { type JobToRun, jobsToRun } from './jobs-to-run.ts';
import { distDirectory, setupScriptOf } from './local-job.ts';
import { makeOutputsDirectory } from './outputs-directory.ts';
import type { PreparedSlurmJob } from './prepared-slurm-job.ts';
import { tookBefore } from './result-set.ts';
import type { Resumption } from './resumed-job.ts';
import { pinAll, splitAll } from './split-all.ts';
import { warnOnce } from './warn.ts';
import { writeJobDir } from './write-job-dir.ts';

export interface SlurmJobOptions extends EditOptions {
  readonly file: readonly string[];
  readonly allowUnknown?: boolean;
  readonly mock?: boolean;
  readonly output?: string;
  readonly setupScript?: string;
  readonly hostSetup?: boolean;
  readonly tags?: string;
  readonly json?: boolean;
  readonly watch?: boolean;
  readonly wait?: boolean;
  readonly serveOnly?: boolean;
  /** The GPU-hours of a job that its user allows. */
  readonly maxGpuHours?: number;
  readonly yes?: boolean;
  readonly currentAllocation?: boolean;
  /** false: static mode, the whole run as one script. */
  readonly orchestrator?: boolean;
  readonly again?: boolean;
  readonly resume?: string;
}

/** Submits a Slurm job for each variant of each recipe. Resolves with the exit code. */
export async function applyOnSlurm(options: SlurmJobOptions): Promise<number> {
  const onUnknownKey = options.allowUnknown ? warnOnce() : undefined;
  const cluster = findClusterConfig(process.env, process.cwd(), onUnknownKey);
  const edits = parseEdits(editTexts(options));
  const files = await findRecipes(options.file);
  const loaded = loadAll(files, { cluster, env: process.env, onUnknownKey, edits });
  const variants = await pinAll(splitAll(loaded, cluster, options), options);
  const jobs = prepare(options, cluster, variants);
  return startOnSlurm(
    await jobsToRun(jobs, { ...options, again: options.again === true || options.serveOnly === true }),
    options,
  );
}

/** Submits prepared jobs, or runs them in the allocation of this shell. Resolves with the exit code. */
export async function startOnSlurm(
  jobs: readonly JobToRun<PreparedSlurmJob>[],
  options: Pick<
    SlurmJobOptions,
    'currentAllocation' | 'json' | 'watch' | 'wait' | 'orchestrator' | 'yes' | 'serveOnly' | 'maxGpuHours'
  >,
): Promise<number> {
  const current = allocationOf(process.env);
  if (options.currentAllocation === true && !current)
    throw new SrtctlError('no-allocation', '--current-allocation: this shell is not in a Slurm allocation', {
      hint: 'run it inside salloc or sbatch, or omit the option to submit a job',
    });
  if (current) {
    const { runInAllocation } =
      options.orchestrator === false ? await import('./static-job.ts') : await import('./allocation-job.ts');
    let worst: number = EXIT.ok;
    for (const { job, resumption } of jobs) {
      const exitCode = await runInAllocation(job, current, options.json === true, resumption);
      worst = worst === EXIT.ok ? exitCode : worst;
      if (exitCode === EXIT.interrupted || exitCode === EXIT.terminated) break;
    }
    return worst;
  }
  if (!options.yes && !options.json && !(await agreed(jobs))) return EXIT.usage;
  for (const { job } of jobs) if (!(await allowsHours(job, options))) return EXIT.usage;
  const submitted: JobSpec[] = [];
  for (const { job, resumption } of jobs) submitted.push(await submit(job, options, resumption));
  if (options.wait) return awaitAll(submitted, options.json === true);
  if (options.watch !== true && options.serveOnly !== true) return EXIT.ok;
  const { followJob } = await import('../view/follow.ts');
  let worst: number = EXIT.ok;
  for (const spec of submitted) {
    const { jobId, jobDir } = spec;
    const follow = () => followJob({ job: { jobId, jobDir, spec }, json: options.json === true });
    const { exitCode } = await (options.serveOnly ? stoppingOnSignal(spec, follow) : follow());
    worst = worst === EXIT.ok ? exitCode : worst;
  }
  return worst;
}

/**
 * Waits for jobs without showing them, and prints the end of each as it comes. Resolves with the exit code of the
 * first one that failed. An interrupt ends the wait and leaves the jobs alone.
 */
async function awaitAll(submitted: readonly JobSpec[], json: boolean): Promise<number> {
  const { followJob } = await import('../view/follow.ts');
  const codes = await Promise.all(
    submitted.map(async (spec) => {
      const { jobId, jobDir } = spec;
      const end = await followJob({ job: { jobId, jobDir, spec }, json, quiet: true });
      sayEnd(spec, end, json);
      return end.exitCode;
    }),
  );
  return codes.find((code) => code !== EXIT.ok) ?? EXIT.ok;
}

/** Follows a deployment; an interrupt of this command stops the job, because it is there for its user alone. */
async function stoppingOnSignal<T>(spec: JobSpec, follow: () => Promise<T>): Promise<T> {
  const { askToEnd } = await import('../jobs/operator-bus.ts');
  const { jobId, jobDir } = spec;
  const stop = (): void => {
    void askToEnd({ jobId, jobDir, spec }, 'apply').then(async (asked) => {
      if (!asked) await slurm('scancel', [jobId]);
    });
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  try {
    return await follow();
  } finally {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
}

/**
 * Whether a job may use its GPU-hours. Above `max_gpu_hours` a person is asked; `--yes` is no answer, because it is
 * about the number of jobs. Without a person only `--max-gpu-hours` allows it.
 * @throws SrtctlError when it may not run, and there is no terminal for a question
 */
async function allowsHours(
  { variant, cluster, nodes }: PreparedSlurmJob,
  { maxGpuHours, json }: Pick<SlurmJobOptions, 'maxGpuHours' | 'json'>,
): Promise<boolean> {
  const most = mostGpuHours(variant, cluster);
  if (most === null) return true;
  const { gpuHours } = estimateOf(variant, cluster, nodes);
  if (gpuHours !== null && gpuHours <= most) return true;
  const use =
    gpuHours === null ? 'has no time limit, so its GPU-hours have no bound' : `may use ${gpuHours} GPU-hours`;
  const text = `${variant.name} ${use}, and max_gpu_hours is ${most}`;
  if (maxGpuHours !== undefined && gpuHours !== null && gpuHours <= maxGpuHours) {
    process.stderr.write(`srtctl: note: ${text}; --max-gpu-hours ${maxGpuHours} allows it\n`);
    return true;
  }
  if (json || !process.stdin.isTTY || !process.stdout.isTTY)
    throw new SrtctlError('too-many-gpu-hours', text, {
      place: placeIn(variant, ['slurm', 'time_limit']),
      hint:
        gpuHours === null
          ? 'give it slurm.time_limit'
          : `a shorter slurm.time_limit, or --max-gpu-hours ${Math.ceil(gpuHours)}`,
    });
  return ask(`${text}. Submit it all the same? [y/N] `);
}

/**
 * From this many jobs on, srtctl asks a user on a terminal first, because a directory may contain more
 * recipes than expected.
 */
const MANY_JOBS = 6;

async function agreed(jobs: readonly JobToRun<PreparedSlurmJob>[]): Promise<boolean> {
  if (jobs.length < MANY_JOBS || !process.stdin.isTTY || !process.stdout.isTTY) return true;
  const nodes = jobs.reduce((sum, { job }) => sum + job.nodes, 0);
  return ask(`Submit ${jobs.length} jobs, ${nodes} nodes in all? [y/N] `);
}

/**
 * Throws the reason why a variant cannot be submitted. Planned only to find errors; the coordinator plans
 * again when it knows its nodes.
 * @returns how many nodes it needs
 */
export function requireSubmittable(
  variant: LoadedVariant,
  cluster: ClusterConfig,
  mock: boolean,
  look?: Look,
): number {
  const runtime = containerRuntimeOf(cluster, { mock, mode: 'slurm' });
  requireRunnable(variant, { mock, containers: runtime !== 'none', runtime }, existsFor(cluster));
  refuseArrays(variant, cluster);
  refuseExclusive(variant, cluster);
  const nodes = nodesToAllocate(variant);
  const names = Array.from({ length: nodes }, (_, index) => `node${index + 1}`);
  requirePlannable(variant, createRuntimeContext(dryRunInput(names, cluster)), look);
  return nodes;
}

/**
 * Checks the nats-server of this node. The coordinator checks that of the head node, which may differ, when
 * the job starts.
 */
function oldNats({ points }: LoadedVariant, mock: boolean): string[] {
  try {
    const recipes = points.map(({ recipe }) => recipe);
    const { warning } = natsServerFor({ recipes, mock, env: process.env, cwd: process.cwd() });
    return warning === undefined ? [] : [warning];
  } catch (error) {
    if (!(error instanceof SrtctlError)) throw error;
    return error.code === 'nats-too-old' ? [error.oneLine()] : [];
  }
}

/** A script without a coordinator reports nothing. */
const unreported = ({ file, points }: LoadedVariant): string[] =>
  points.some(({ recipe }) => isReported(recipe))
    ? [`${file}: reporting, observability: in static mode nothing is reported, traced or uploaded`]
    : [];

/** Checks and plans each variant before anything is submitted. */
export function prepare(
  options: SlurmJobOptions,
  cluster: ClusterConfig,
  variants: readonly LoadedVariant[],
): PreparedSlurmJob[] {
  const mock = options.mock === true;
  const outputs = outputsDirectory(options.output, cluster);
  const tables = new Tables();
  return variants.map((variant) => {
    const refused = new OptionWarnings(variant, tables);
    const nodes = requireSubmittable(variant, cluster, mock, mock ? undefined : refused.look);
    const hostSetup = runsHostSetup(variant, { mode: 'slurm', mock, told: options.hostSetup });
    const runtime = containerRuntimeOf(cluster, { mock, mode: 'slurm' });
    const way = { mock, containers: !mock && runtime !== 'none', runtime, hostSetup };
    const warnings = [
      ...warningsOf(variant, way, cluster),
      ...refused.lines,
      ...oldNats(variant, mock),
      ...(options.orchestrator === false ? unreported(variant) : []),
    ];
    for (const line of warnings) process.stderr.write(`srtctl: warning: ${line}\n`);
    return {
      variant,
      source: variant.file,
      nodes,
      cluster,
      outputs,
      spec: {
        v: 1 as const,
        name: variant.name,
        mode: 'slurm' as const,
        mock,
        ...(options.serveOnly ? { serveOnly: true } : {}),
        ...(hostSetup ? { hostSetup } : {}),
        tags: (options.tags ?? '').split(',').filter((tag) => tag !== ''),
        nodes: [],
        setupScript: setupScriptOf(variant, cluster, options),
        variant,
        cluster,
      },
    };
  });
}

/** The parent of job directories. */
export const outputsDirectory = (told: string | undefined, { output_dir: shared }: ClusterConfig): string =>
  resolve(process.cwd(), told ?? process.env.SRTCTL_OUTPUT ?? shared ?? 'outputs');

/** The batch script of a job; dry-run shows the same one. */
export function scriptOf({
  variant,
  nodes,
  cluster,
  outputs,
  staged,
}: Omit<PreparedSlurmJob, 'spec' | 'source'> & { readonly staged?: StagedJob }): string {
  const [first] = variant.points;
  if (!first) throw new TypeError('a variant without points');
  return batchScript({
    name: variant.name,
    directives: sbatchDirectives({ ...first.recipe, name: variant.name }, cluster, nodes),
    outputs,
    distDir: distDirectory(),
    runtimes: runtimesOf(cluster, distDirectory()),
    warningS: warningSeconds(timeLimitMs(timeLimitOf(first.recipe, cluster) ?? '')),
    staged,
  });
}

const staticScriptOf = async (job: PreparedSlurmJob): Promise<string> =>
  (await import('./static-job.ts')).staticScriptOf(job, batchLog(job.outputs));

async function submit(
  job: PreparedSlurmJob,
  view: Pick<SlurmJobOptions, 'json' | 'watch' | 'wait' | 'serveOnly' | 'orchestrator'>,
  resumption?: Resumption,
): Promise<JobSpec> {
  const { variant, cluster, outputs, nodes } = job;
  const recipe = variant.points[0]?.recipe;
  await refuseTooLarge(
    nodes,
    recipe?.slurm.partition ?? cluster.default_partition ?? undefined,
    variant.file,
  );
  makeOutputsDirectory(outputs);
  const text = view.orchestrator === false ? await staticScriptOf(job) : scriptOf(job);
  const { jobId, script, leftOut } = await submitHeld(text, process.cwd());
  for (const name of leftOut)
    process.stderr.write(`srtctl: this Slurm does not know --${name}, so it is omitted\n`);
  const jobDir = join(outputs, jobId);
  const spec: JobSpec = {
    ...job.spec,
    jobId,
    jobDir,
    submittedAt: new Date().toISOString(),
    slurm: { jobId, own: true },
  };
  try {
    await writeJobDir(spec, job.source, script, resumption);
    await release(jobId);
  } catch (error) {
    await slurm('scancel', [jobId]);
    throw error;
  }
  await announceJob(spec, recipe);
  const estimate = estimateOf(variant, cluster, nodes, await tookBefore(outputs, variant));
  if (view.json) sayLine({ ...submittedLine(spec, nodes), estimate });
  else
    process.stdout.write(
      `job ${jobId}: ${spec.name}, ${nodes} node${nodes === 1 ? '' : 's'}\n  uses     ${estimateText(estimate, variant, cluster)}\n  in       ${jobDir}\n${view.watch ? '' : `  follow   srtctl watch ${jobId}\n  stop     srtctl cancel ${jobId}\n`}`,
    );
  return spec;
}
