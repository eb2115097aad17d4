import type { JobSpec } from '../../messages/job-directory/job-files.ts';
import type { LoadedVariant } from '../../recipe/load.ts';
import type { ClusterConfig } from '../../recipe/schema/cluster.ts';

/** A job for Slurm that is checked and planned, and neither submitted nor begun. */
export interface PreparedSlurmJob {
  readonly spec: Omit<JobSpec, 'jobId' | 'jobDir' | 'submittedAt' | 'slurm'>;
  readonly variant: LoadedVariant;
  readonly nodes: number;
  readonly cluster: ClusterConfig;
  readonly outputs: string;
  /** The recipe's file. */
  readonly source: string;
}
