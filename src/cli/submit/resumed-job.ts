import { copyFile, link, mkdir, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type PointOnDisk, readPoints } from '../../coordinator/record/read-results.ts';
import { RESTART_PATIENCE_S } from '../../coordinator/takeover/coordinator-guard.ts';
import type { JobSpec } from '../../messages/job-directory/job-files.ts';
import { SrtctlError } from '../../os/errors.ts';
import { pointNumber } from '../../plan/runtime-context.ts';
import { type LoadedVariant, loadedVariantSchema } from '../../recipe/load.ts';
import { differences, differenceText } from '../../recipe/values/recipe-diff.ts';
import { numbersOf } from '../../recipe/variant.ts';
import { coordinatorOf, isOver, type JobOnDisk } from '../jobs/job-dir.ts';

const MOST_LINES = 20;

/** What a resumed job already has. */
export interface Resumption {
  readonly job: JobOnDisk;
  /** Points with a valid result; they are not run again. */
  readonly finished: readonly PointOnDisk[];
  /** Number of points to run. */
  readonly left: number;
  /** Number of points of the new job (numbersOf). */
  readonly numbers: number;
}

/** A job's own variant, as requested. */
export const variantOf = ({ spec }: JobOnDisk): LoadedVariant => loadedVariantSchema.parse(spec.variant);

/**
 * The finished points of a job and the rest of `variant`, which is the job's own or comes from its changed
 * recipe.
 * @throws SrtctlError while the job runs, or when `variant` differs in a finished point
 */
export async function resumptionOf(job: JobOnDisk, variant: LoadedVariant): Promise<Resumption> {
  if (!(await willBeOver(job)))
    throw new SrtctlError('job-runs', `job ${job.jobId} has not ended`, {
      hint: `srtctl watch ${job.jobId}, or srtctl cancel ${job.jobId}`,
    });
  const points = await readPoints(job.jobDir);
  const finished = points.filter(({ result }) => result.status === 'done');
  const changes = finished.flatMap((point) => changesOf(point, variantOf(job), variant));
  if (changes.length > 0) {
    const more = changes.length - MOST_LINES;
    for (const line of changes.slice(0, MOST_LINES)) process.stderr.write(`srtctl: ${line}\n`);
    if (more > 0) process.stderr.write(`srtctl: … ${more} more differences\n`);
    throw new SrtctlError(
      'recipe-changed',
      `the recipe does not match the results of job ${job.jobId}: ${changes.length} differences in its finished points`,
      {
        place: { file: variant.file },
        hint: 'undo the changes, add new points after the old ones, or apply the recipe without --resume',
      },
    );
  }
  const left = variant.points.length - finished.length;
  return { job, finished, left, numbers: numbersOf(variant) };
}

/** A job whose coordinator was killed may continue within seconds; otherwise it is over. */
async function willBeOver(job: JobOnDisk): Promise<boolean> {
  const until = performance.now() + 1_000 * (RESTART_PATIENCE_S + 5);
  while (!(await isOver(job))) {
    if (job.spec.mode !== 'local' || (await coordinatorOf(job)) !== undefined) return false;
    if (performance.now() > until) return false;
    await sleep(200);
  }
  return true;
}

/** The point with this number in the sweep: a part of a sweep keeps the numbers of its points. */
const pointAt = ({ points }: LoadedVariant, ordinal: number) =>
  points.find((point, at) => ((point as { ordinal?: number }).ordinal ?? at) === ordinal);

/** How a finished point differs from the new variant. */
function changesOf({ result }: PointOnDisk, old: LoadedVariant, now: LoadedVariant): string[] {
  const { ordinal, name } = result;
  const [before, after] = [pointAt(old, ordinal), pointAt(now, ordinal)];
  if (!before) return [`point ${ordinal} ${name} is not part of this job`];
  if (!after) return [`point ${ordinal} ${name} is finished, but no longer in the recipe`];
  return differences(before.recipe, after.recipe).map(
    (difference) => `point ${ordinal} ${name} is finished: ${differenceText(difference)}`,
  );
}

/** The origin of the first results, for the new job's spec. */
export const resumedFrom = ({ job, finished }: Resumption): NonNullable<JobSpec['resumed']> => ({
  jobId: job.jobId,
  jobDir: job.jobDir,
  finished: finished.map(({ result }) => result.ordinal),
});

/** Copies the finished points unchanged into the new job's directory. */
export async function carryOver({ finished, numbers }: Resumption, jobDir: string): Promise<void> {
  for (const { dir, result } of finished) {
    // With more points their numbers may have more digits.
    const name = basename(dir).replace(/^\d+/, pointNumber(result.ordinal, numbers));
    await linkTree(dir, join(jobDir, 'points', name));
  }
}

/** Hard links where possible, else copies; the files of a finished point never change. */
async function linkTree(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await linkTree(source, target);
    else await link(source, target).catch(() => copyFile(source, target));
  }
}
