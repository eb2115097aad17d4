import type { JobSpec } from '../../messages/job-directory/job-files.ts';
import { EXIT, SrtctlError } from '../../os/errors.ts';
import type { LoadedVariant } from '../../recipe/load.ts';
import { findJob } from '../jobs/job-dir.ts';
import { findComplete, resultSetOf, sayComplete } from './result-set.ts';
import { type Resumption, resumptionOf, variantOf } from './resumed-job.ts';

interface Prepared {
  readonly spec: Omit<JobSpec, 'jobId' | 'jobDir' | 'submittedAt'>;
  readonly outputs: string;
}

interface StartOptions {
  /** Include jobs with a complete set of results. */
  readonly again?: boolean;
  /** The job to resume. */
  readonly resume?: string;
  readonly json?: boolean;
}

export interface JobToRun<J> {
  readonly job: J;
  readonly resumption?: Resumption;
}

/** Returns the prepared jobs with points to run; for the others prints where their results are. */
export async function jobsToRun<J extends Prepared>(
  jobs: readonly J[],
  options: StartOptions,
): Promise<JobToRun<J>[]> {
  const json = options.json === true;
  const marked = await Promise.all(
    jobs.map(async (job) => {
      const resultSet = await resultSetOf(job.spec, job.spec.variant as LoadedVariant);
      return { ...job, spec: { ...job.spec, resultSet } };
    }),
  );
  if (options.resume !== undefined) return resuming(marked, options.resume, json);
  const starting: JobToRun<J>[] = [];
  for (const job of marked) {
    const complete = options.again ? undefined : await findComplete(job.outputs, job.spec.resultSet);
    if (complete) await sayComplete(complete, json);
    else starting.push({ job });
  }
  return starting;
}

async function resuming<J extends Prepared>(
  jobs: readonly J[],
  told: string,
  json: boolean,
): Promise<JobToRun<J>[]> {
  const before = await findJob(told, jobs[0]?.outputs ?? '');
  const [own, ...more] =
    jobs.length === 1 ? jobs : jobs.filter((job) => isSameVariant(job, variantOf(before)));
  if (!own || more.length > 0)
    throw new SrtctlError(
      'resume-which',
      `the recipes give ${jobs.length} jobs, but --resume needs exactly one`,
      {
        hint: 'select its variant, for example recipe.yaml:variant',
      },
    );
  const { mode, mock } = before.spec;
  if (own.spec.mode !== mode || own.spec.mock !== mock)
    throw new SrtctlError(
      'resume-mode',
      `job ${before.jobId} ran ${wayOf(before.spec)}, but this one would run ${wayOf(own.spec)}`,
      { exitCode: EXIT.usage, hint: 'results of the two do not belong together' },
    );
  const resumption = await resumptionOf(before, own.spec.variant as LoadedVariant);
  if (resumption.left > 0) return [{ job: own, resumption }];
  await sayComplete(before, json);
  return [];
}

const isSameVariant = ({ spec }: Prepared, { variant, name }: LoadedVariant): boolean => {
  const own = spec.variant as LoadedVariant;
  return own.variant === variant && own.name === name;
};

const wayOf = ({ mode, mock }: Pick<JobSpec, 'mode' | 'mock'>): string =>
  `${mode === 'local' ? 'with --local' : 'on Slurm'}${mock ? ' with --mock' : ''}`;
