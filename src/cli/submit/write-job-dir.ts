import { chmod, copyFile, mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import { jobPaths, writeJson } from '../../messages/job-directory/files.ts';
import type { JobSpec } from '../../messages/job-directory/job-files.ts';
import { makeJobDirectory } from '../../os/files/private-files.ts';
import { optionCacheOf } from '../../plan/options/check-step.ts';
import { holdsSecrets } from '../../recipe/values/secrets.ts';
import { makeOutputsDirectory } from './outputs-directory.ts';
import { carryOver, type Resumption, resumedFrom } from './resumed-job.ts';

/**
 * Writes the request for the coordinator and for viewers. The setup script is copied, because nodes and
 * containers see the job's directory and perhaps not the script's own, and because it must run unchanged.
 * Others may read everything except resolved recipes with passwords; only the owner may write, because the
 * files are executed.
 */
export async function writeJobDir(
  spec: JobSpec,
  recipeFile: string,
  script: string | null,
  resumption?: Resumption,
): Promise<void> {
  const paths = jobPaths(spec.jobDir, spec.jobId);
  makeOutputsDirectory(dirname(spec.jobDir));
  makeJobDirectory(spec.jobDir);
  makeJobDirectory(paths.logs);
  // Another user's is not used (src/steps/check-options.py).
  if (!spec.mock) await mkdir(optionCacheOf(spec.jobDir), { mode: 0o755 }).catch(() => {});
  const secret = holdsSecrets([spec.variant, spec.cluster]);
  const mode = secret ? 0o600 : 0o644;
  let { setupScript } = spec;
  if (setupScript !== null) {
    const kept = join(spec.jobDir, 'setup_script.sh');
    await copyFile(setupScript, kept);
    await chmod(kept, 0o755);
    setupScript = kept;
  }
  if (resumption) await carryOver(resumption, spec.jobDir);
  const resumed = resumption ? { resumed: resumedFrom(resumption) } : {};
  await writeJson(paths.spec, { ...spec, ...resumed, setupScript } satisfies JobSpec, { secret });
  // The recipe as written; its resolved form is in <job id>.json and each point's config.yaml.
  await writeFileAtomic(join(spec.jobDir, 'config.yaml'), await readFile(recipeFile, 'utf8'), { mode });
  if (script !== null) await writeFileAtomic(join(spec.jobDir, 'sbatch_script.sh'), script, { mode });
}
