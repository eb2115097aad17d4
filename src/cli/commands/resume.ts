import type { Command } from 'commander';
import type { JobSpec } from '../../messages/job-directory/job-files.ts';
import { EXIT, SrtctlError } from '../../os/errors.ts';
import type { JobOnDisk } from '../jobs/job-dir.ts';
import type { Resumption } from '../submit/resumed-job.ts';
import { JOB_WORDS, OUTPUT_OPTION } from '../terminal/options.ts';

interface ResumeOptions {
  readonly output?: string;
  readonly json?: boolean;
  readonly watch?: boolean;
  readonly currentAllocation?: boolean;
}

export function registerResume(program: Command): void {
  program
    .command('resume')
    .description(
      'Run the points of a job without a valid result, in a new job that keeps the results so far.',
    )
    .argument('[job]', JOB_WORDS, 'latest')
    .option(...OUTPUT_OPTION)
    .option('--watch', 'follow the new job to its end; the exit code is then that of the run')
    .option('--current-allocation', 'run in the Slurm allocation of this shell')
    .option('--json', 'one JSON object a line on standard output, for programs')
    .addHelpText(
      'after',
      `
The job runs as it was asked for, here or on Slurm as before. \`srtctl apply -f RECIPE --resume JOB\` takes the recipe as it
is now, unless that changes a point that has a result.

Examples:
  srtctl resume latest
  srtctl resume 1234567 --watch`,
    )
    .action(async (told: string, options: ResumeOptions) => {
      process.exitCode = await resume(told, options);
    });
}

async function resume(told: string, options: ResumeOptions): Promise<number> {
  const { dirname, join } = await import('node:path');
  const { findJob, outputsRoot } = await import('../jobs/job-dir.ts');
  const { resumptionOf, variantOf } = await import('../submit/resumed-job.ts');
  const { sayComplete } = await import('../submit/result-set.ts');
  const job = await findJob(told, outputsRoot(options.output));
  const variant = variantOf(job);
  const resumption = await resumptionOf(job, variant);
  if (resumption.left === 0) {
    await sayComplete(job, options.json === true);
    return EXIT.ok;
  }
  await noteOtherRecipe(job, variant.file);
  if (options.json !== true) process.stdout.write(`${planText(resumption)}\n`);
  const { jobId: _, jobDir: __, submittedAt: ___, slurm: ____, resumed: _____, ...asked } = job.spec;
  const common = { outputs: dirname(job.jobDir), source: join(job.jobDir, 'config.yaml') };
  if (job.spec.mode === 'local') {
    const { runLocalJob } = await import('../submit/local-job.ts');
    return runLocalJob({ ...common, spec: asked }, { json: options.json === true }, resumption);
  }
  const { startOnSlurm } = await import('../submit/slurm-job.ts');
  const { nodesNeeded } = await import('../../plan/plan.ts');
  const { clusterConfigSchema } = await import('../../recipe/schema/cluster.ts');
  const spec: Omit<JobSpec, 'jobId' | 'jobDir' | 'submittedAt' | 'slurm'> = { ...asked, nodes: [] };
  const cluster = clusterConfigSchema.parse(job.spec.cluster);
  const prepared = { ...common, spec, variant, cluster, nodes: nodesNeeded(variant) };
  return startOnSlurm([{ job: prepared, resumption }], options);
}

const planText = ({ job, finished, left }: Resumption): string =>
  `${job.spec.name}: ${finished.length} points have a result in job ${job.jobId}, ${left} will run`;

/** A job is resumed with its own recipe, so notes a recipe file that has changed since. */
async function noteOtherRecipe({ jobDir, jobId }: JobOnDisk, file: string): Promise<void> {
  const { readFile } = await import('node:fs/promises');
  const { join } = await import('node:path');
  const [kept, now] = await Promise.all(
    [join(jobDir, 'config.yaml'), file].map((path) => readFile(path, 'utf8').catch(() => undefined)),
  );
  if (kept === undefined) throw new SrtctlError('job-unreadable', `${jobDir}/config.yaml does not exist`);
  if (now !== undefined && now !== kept)
    process.stderr.write(
      `srtctl: note: ${file} has changed since; job ${jobId} is resumed with its own copy (srtctl apply -f ${file} --resume ${jobId} uses the changed file)\n`,
    );
}
