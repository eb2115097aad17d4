import type { JobSpec } from '../../messages/job-directory/job-files.ts';
import { collectorsOf } from '../../recipe/schema/reporting.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';

/** How long the status collectors of a job may keep `apply` waiting. */
const ANNOUNCE_MS = 5_000;

/** Reports to the collectors of a recipe that a job is submitted. A collector that does not take it is a warning. */
export async function announceJob(
  spec: JobSpec,
  recipe: Pick<Recipe, 'reporting'> | undefined,
): Promise<void> {
  if (collectorsOf(recipe?.reporting).length === 0) return;
  const { announce } = await import('../../reporting/status/client.ts');
  const { reportedJob } = await import('../../reporting/common/job.ts');
  // The spec as its file has it.
  const job = reportedJob(JSON.parse(JSON.stringify(spec)));
  for (const line of await announce(job, process.env, ANNOUNCE_MS))
    process.stderr.write(
      `srtctl: warning: reporting.status: ${line} (job ${spec.jobId} reports again when it starts)\n`,
    );
}
