import { createHash } from 'node:crypto';
import { chmodSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { writeJson } from '../../messages/job-directory/files.ts';
import type { JobSpec } from '../../messages/job-directory/job-files.ts';
import { makeNamedDirectory } from '../../os/files/make-directories.ts';
import { STAGED } from '../../platform/slurm/staged-job.ts';
import { forThisSlurm } from '../../platform/slurm/submit.ts';
import { holdsSecrets } from '../../recipe/values/secrets.ts';
import { makeOutputsDirectory } from '../submit/outputs-directory.ts';
import type { PreparedSlurmJob } from '../submit/prepared-slurm-job.ts';
import { scriptOf } from '../submit/slurm-job.ts';

/**
 * Writes a job's batch script and all that it needs into a directory, for a program that calls sbatch itself.
 * When the job starts, the script makes the job's directory from these files, which therefore have a directory
 * named after their content: another render into the same place changes no job that waits in the queue.
 * @returns the path of the script
 */
export async function renderJob(job: PreparedSlurmJob, into: string): Promise<string> {
  const { variant, cluster, outputs, spec } = job;
  makeOutputsDirectory(outputs);
  const secret = holdsSecrets([variant, cluster]);
  const mode = secret ? 0o600 : 0o644;
  const setupScript = spec.setupScript === null ? null : readFileSync(spec.setupScript, 'utf8');
  const jobDir = join(outputs, STAGED.jobId);
  const asked: JobSpec = {
    ...spec,
    ...{ jobId: STAGED.jobId, jobDir, submittedAt: STAGED.submittedAt },
    slurm: { jobId: STAGED.jobId, own: true },
    setupScript: setupScript === null ? null : join(jobDir, 'setup_script.sh'),
  };
  const recipe = readFileSync(job.source, 'utf8');
  const content = createHash('sha256')
    .update(JSON.stringify([asked, recipe, setupScript]))
    .digest('hex');
  const directory = resolve(into, `${nameOf(job)}-${content.slice(0, 12)}`);
  makeNamedDirectory(directory);
  chmodSync(directory, 0o755);
  await writeJson(join(directory, 'job.json'), asked, { secret });
  await writeFileAtomic(join(directory, 'config.yaml'), recipe, { mode });
  if (setupScript !== null)
    await writeFileAtomic(join(directory, 'setup_script.sh'), setupScript, { mode: 0o755 });
  const path = join(directory, 'sbatch_script.sh');
  const staged = { directory, cwd: process.cwd() };
  const { script, leftOut } = await forThisSlurm(scriptOf({ ...job, staged }));
  for (const name of leftOut)
    process.stderr.write(`srtctl: this Slurm does not know --${name}, so it is omitted\n`);
  await writeFileAtomic(path, script, { mode: secret ? 0o700 : 0o755 });
  return path;
}

/** Safe in any path and in the pattern of `#SBATCH --output`. */
const nameOf = ({ variant }: PreparedSlurmJob): string =>
  variant.name
    .replaceAll(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[-.]+/, '')
    .slice(0, 80) || 'job';
