import { copyFile, link, mkdir, readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type PointOnDisk, readPoints } from '../../coordinator/record/point-results.ts';
import { RESTART_PATIENCE_S } from '../../coordinator/takeover/coordinator-guard.ts';
import type { JobSpec } from '../../messages/job-directory/job-files.ts';
import { SrtctlError } from '../../os/errors.ts';
import { pointNumber } from '../../plan/runtime-context.ts';
import { type LoadedVariant, loadedVariantSchema } from '../../recipe/load.ts';
import { numbersOf } from '../../recipe/variant.ts';
import { coordinatorOf, isOver, type JobOnDisk } from '../jobs/job-dir.ts';
import { differences, differenceText } from './recipe-diff.ts';

const MOST_LINES = 20;

/** What a job that is resumed has already. */
export interface Resumption {
  readonly job: JobOnDisk;
  /** Points with a valid result: they are not run again. */
  readonly finished: readonly PointOnDisk[];
  /** How many points are to run. */
  readonly left: number;
  /** Numbers of points that the new job has (numbersOf). */
  readonly numbers: number;
}

/** A job's own variant, as it was asked for. */
export const variantOf = ({ spec }: JobOnDisk): LoadedVariant => loadedVariantSchema.parse(spec.variant);

/**
 * What is there of a job and what is left of `variant`, which is the job's own or what its recipe is now.
 * @throws SrtctlError while the job runs, or when a point with a result is another one in `variant`
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
      `the recipe is not what job ${job.jobId} has results of: ${changes.length} differences in its finished points`,
      {
        place: { file: variant.file },
        hint: 'take the changes back, add new points after the old ones, or apply it without --resume',
      },
    );
  }
  const left = variant.points.length - finished.length;
  return { job, finished, left, numbers: numbersOf(variant) };
}

/** A job whose coordinator was killed may go on within seconds, and is over when it does not. */
async function willBeOver(job: JobOnDisk): Promise<boolean> {
  const until = performance.now() + 1_000 * (RESTART_PATIENCE_S + 5);
  while (!(await isOver(job))) {
    if (job.spec.mode !== 'local' || (await coordinatorOf(job)) !== undefined) return false;
    if (performance.now() > until) return false;
    await sleep(200);
  }
  return true;
}

/** The point that a sweep counts so: a part of a sweep has its points' numbers with them. */
const pointAt = ({ points }: LoadedVariant, ordinal: number) =>
  points.find((point, at) => ((point as { ordinal?: number }).ordinal ?? at) === ordinal);

/** In which ways a finished point is another one now. */
function changesOf({ result }: PointOnDisk, old: LoadedVariant, now: LoadedVariant): string[] {
  const { ordinal, name } = result;
  const [before, after] = [pointAt(old, ordinal), pointAt(now, ordinal)];
  if (!before) return [`point ${ordinal} ${name} is not of this job`];
  if (!after) return [`point ${ordinal} ${name} is finished, and is not there any more`];
  return differences(before.recipe, after.recipe).map(
    (difference) => `point ${ordinal} ${name} is finished: ${differenceText(difference)}`,
  );
}

/** What the new job's spec says of where its first results are from. */
export const resumedFrom = ({ job, finished }: Resumption): NonNullable<JobSpec['resumed']> => ({
  jobId: job.jobId,
  jobDir: job.jobDir,
  finished: finished.map(({ result }) => result.ordinal),
});

/** Puts the finished points into the new job's directory, as they are, to the byte. */
export async function carryOver({ finished, numbers }: Resumption, jobDir: string): Promise<void> {
  for (const { dir, result } of finished) {
    // With more points their numbers may have more digits.
    const name = basename(dir).replace(/^\d+/, pointNumber(result.ordinal, numbers));
    await linkTree(dir, join(jobDir, 'points', name));
  }
}

/** Links where that can be, else copies: files of a finished point are not written any more. */
async function linkTree(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await linkTree(source, target);
    else await link(source, target).catch(() => copyFile(source, target));
  }
}
