import type { JobSpec } from '../../messages/job-directory/job-files.ts';
import type { LoadedVariant } from '../../recipe/load.ts';
import type { ClusterConfig } from '../../recipe/schema/cluster.ts';

/** A checked and planned Slurm job that is neither submitted nor started. */
export interface PreparedSlurmJob {
  readonly spec: Omit<JobSpec, 'jobId' | 'jobDir' | 'submittedAt' | 'slurm'>;
  readonly variant: LoadedVariant;
  readonly nodes: number;
  readonly cluster: ClusterConfig;
  readonly outputs: string;
  /** The recipe's file. */
  readonly source: string;
}
