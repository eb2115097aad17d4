import { join, resolve } from 'node:path';
import { EXIT, SrtctlError } from '../errors.ts';
import type { JobSpec } from '../messages/job-files.ts';
import { nodesToAllocate, planVariant } from '../plan/plan.ts';
import { createRuntimeContext, dryRunInput } from '../plan/runtime-context.ts';
import { type ClusterConfig, findClusterConfig } from '../recipe/cluster.ts';
import { findRecipes, type LoadedVariant, loadAll, notDoneYet, requireRunnable } from '../recipe/load.ts';
import { allocationOf } from '../slurm/allocation.ts';
import { batchScript } from '../slurm/batch-script.ts';
import { slurm } from '../slurm/commands.ts';
import { runtimesOf } from '../slurm/runtimes.ts';
import { sbatchDirectives } from '../slurm/sbatch.ts';
import { refuseTooLarge, release, submitHeld } from '../slurm/submit.ts';
import { distDirectory, setupScriptOf } from './local-job.ts';
import { warnOnce } from './warn.ts';
import { writeJobDir } from './write-job-dir.ts';

export interface SlurmJobOptions {
  readonly file: readonly string[];
  readonly allowUnknown?: boolean;
  readonly mock?: boolean;
  readonly output?: string;
  readonly setupScript?: string;
  readonly tags?: string;
  readonly json?: boolean;
  readonly watch?: boolean;
  readonly currentAllocation?: boolean;
}

export interface PreparedSlurmJob {
  readonly spec: Omit<JobSpec, 'jobId' | 'jobDir' | 'submittedAt' | 'slurm'>;
  readonly variant: LoadedVariant;
  readonly nodes: number;
  readonly cluster: ClusterConfig;
  readonly outputs: string;
}

/** Submits a Slurm job for each variant of each recipe. Resolves with the exit code. */
export async function applyOnSlurm(options: SlurmJobOptions): Promise<number> {
  const onUnknownKey = options.allowUnknown ? warnOnce() : undefined;
  const cluster = findClusterConfig(process.env, process.cwd(), onUnknownKey);
  const files = await findRecipes(options.file);
  const jobs = prepare(options, cluster, loadAll(files, { cluster, env: process.env, onUnknownKey }));
  const current = allocationOf(process.env);
  if (options.currentAllocation === true && !current)
    throw new SrtctlError('no-allocation', '--current-allocation: this shell is in no Slurm allocation', {
      hint: 'run it inside salloc or sbatch, or leave the option out to submit a job',
    });
  if (current) {
    const { runInAllocation } = await import('./allocation-job.ts');
    let worst: number = EXIT.ok;
    for (const job of jobs) {
      const exitCode = await runInAllocation(job, current, options.json === true);
      worst = worst === EXIT.ok ? exitCode : worst;
      if (exitCode === EXIT.interrupted || exitCode === EXIT.terminated) break;
    }
    return worst;
  }
  const submitted: JobSpec[] = [];
  for (const job of jobs) submitted.push(await submit(job, options));
  if (options.watch !== true) return EXIT.ok;
  const { followJob } = await import('./follow.ts');
  let worst: number = EXIT.ok;
  for (const spec of submitted) {
    const { jobId, jobDir } = spec;
    const { exitCode } = await followJob({ job: { jobId, jobDir, spec }, json: options.json === true });
    worst = worst === EXIT.ok ? exitCode : worst;
  }
  return worst;
}

function prepare(
  options: SlurmJobOptions,
  cluster: ClusterConfig,
  variants: readonly LoadedVariant[],
): PreparedSlurmJob[] {
  const mock = options.mock === true;
  const runtime = cluster.container_runtime ?? 'pyxis';
  if (!mock && runtime !== 'pyxis' && runtime !== 'none')
    throw new SrtctlError('not-yet', `container_runtime: ${runtime} (srtslurm.yaml) cannot be used yet`, {
      hint: 'pyxis, or none for engines on the nodes themselves',
    });
  const outputs = outputsDirectory(options.output, cluster);
  return variants.map((variant) => {
    requireRunnable(variant, { mock, containers: cluster.container_runtime !== 'none' });
    for (const line of notDoneYet(variant, { containers: !mock && cluster.container_runtime !== 'none' }))
      process.stderr.write(`srtctl: warning: ${line}\n`);
    const nodes = nodesToAllocate(variant);
    const names = Array.from({ length: nodes }, (_, index) => `node${index + 1}`);
    // Planned for its errors alone: the coordinator plans again when it knows its nodes.
    planVariant(variant, createRuntimeContext(dryRunInput(names, cluster)));
    return {
      variant,
      nodes,
      cluster,
      outputs,
      spec: {
        v: 1 as const,
        name: variant.name,
        mode: 'slurm' as const,
        mock,
        tags: (options.tags ?? '').split(',').filter((tag) => tag !== ''),
        nodes: [],
        setupScript: setupScriptOf(variant, cluster, options),
        variant,
        cluster,
      },
    };
  });
}

/** Where the directories of jobs are made. */
export const outputsDirectory = (told: string | undefined, { output_dir: shared }: ClusterConfig): string =>
  resolve(process.cwd(), told ?? process.env.SRTCTL_OUTPUT ?? shared ?? 'outputs');

/** The batch script of a job; dry-run shows the same. */
export function scriptOf({ variant, nodes, cluster, outputs }: Omit<PreparedSlurmJob, 'spec'>): string {
  const [first] = variant.points;
  if (!first) throw new TypeError('a variant without points');
  return batchScript({
    name: variant.name,
    directives: sbatchDirectives({ ...first.recipe, name: variant.name }, cluster, nodes),
    outputs,
    distDir: distDirectory(),
    runtimes: runtimesOf(cluster, process.arch, process.execPath),
  });
}

async function submit(job: PreparedSlurmJob, view: { json?: boolean; watch?: boolean }): Promise<JobSpec> {
  const { variant, cluster, outputs, nodes } = job;
  const recipe = variant.points[0]?.recipe;
  await refuseTooLarge(
    nodes,
    recipe?.slurm.partition ?? cluster.default_partition ?? undefined,
    variant.file,
  );
  const { jobId, script, leftOut } = await submitHeld(scriptOf(job), process.cwd());
  for (const name of leftOut)
    process.stderr.write(`srtctl: this Slurm does not know --${name}: it is left out\n`);
  const jobDir = join(outputs, jobId);
  const spec: JobSpec = {
    ...job.spec,
    jobId,
    jobDir,
    submittedAt: new Date().toISOString(),
    slurm: { jobId, own: true },
  };
  try {
    await writeJobDir(spec, variant.file, script);
    await release(jobId);
  } catch (error) {
    await slurm('scancel', [jobId]);
    throw error;
  }
  if (view.json) say({ kind: 'submitted', jobId, jobDir, name: spec.name, nodes });
  else
    process.stdout.write(
      `job ${jobId}: ${spec.name}, ${nodes} node${nodes === 1 ? '' : 's'}\n  in       ${jobDir}\n${view.watch ? '' : `  follow   srtctl watch ${jobId}\n  stop     srtctl cancel ${jobId}\n`}`,
    );
  return spec;
}

const say = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);
