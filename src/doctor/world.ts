import type { Answer, SlurmCommand } from '../platform/slurm/commands.ts';
import type { ClusterConfig } from '../recipe/schema/cluster.ts';
import type { Found } from './finding.ts';

/** What the run is to be able to do, from a recipe or from the cluster's defaults. */
export interface Wanted {
  readonly partition: string | undefined;
  readonly timeLimit: string | undefined;
  /** Directories of models that nodes must be able to read. */
  readonly models: readonly string[];
  readonly ports: readonly number[];
  /** GPUs that a node must have; undefined when nobody says. */
  readonly gpus: number | undefined;
  /** The script that sbatch is asked about, without submitting it. */
  readonly script: string;
}

/** What checks look at. Commands are run through it, so that tests can put others in their place by PATH. */
export interface World {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly cluster: ClusterConfig;
  /** undefined when there is no srtslurm.yaml. */
  readonly clusterFile: string | undefined;
  readonly distDir: string;
  readonly outputs: string;
  readonly wanted: Wanted;
  /** A cluster is meant: without Slurm nothing of it can be. */
  readonly needsSlurm: boolean;
  /** Nodes are asked too, and say whether they share what is here. */
  readonly asksNodes: boolean;
  run(command: SlurmCommand, args: readonly string[], input?: string): Promise<Answer | undefined>;
}

/** A check as data: what it is called, and what finds out. */
export interface Check {
  readonly id: string;
  run(world: World): Promise<readonly Found[]>;
}
