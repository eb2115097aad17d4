import type { Answer, SlurmCommand } from '../platform/slurm/commands.ts';
import type { ClusterConfig } from '../recipe/schema/cluster.ts';
import type { Found } from './finding.ts';

/** The needs of a run, from a recipe or from the cluster's defaults. */
export interface Wanted {
  readonly partition: string | undefined;
  readonly timeLimit: string | undefined;
  /** Directories of models that nodes must be able to read. */
  readonly models: readonly string[];
  /** Files and directories that nodes must have: images, host directories of mounts. */
  readonly paths: readonly string[];
  readonly ports: readonly number[];
  /** GPUs that a node must have; undefined when unknown. */
  readonly gpus: number | undefined;
  /** The batch script for `sbatch --test-only`. */
  readonly script: string;
}

/** Command lines of one image, for src/steps/check-options.py. */
export interface OptionCheck {
  readonly image: string | null;
  /** What the program reads: the command lines with their places in the recipe. */
  readonly content: string;
  /** Names of the programs. */
  readonly programs: readonly string[];
  /** The command in the image, which reads `file` in a directory that `directory` names. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly directory: string;
  readonly file: string;
  /** Options of srun, for a container of the step. */
  readonly srun: readonly string[];
  /** Where earlier answers are. */
  readonly cache: string;
}

/** The environment of the checks. It runs their commands, so that tests can replace programs by PATH. */
export interface World {
  readonly env: NodeJS.ProcessEnv;
  readonly cwd: string;
  readonly cluster: ClusterConfig;
  /** undefined when there is no srtslurm.yaml. */
  readonly clusterFile: string | undefined;
  readonly distDir: string;
  readonly outputs: string;
  readonly wanted: Wanted;
  /** The planned command lines of recipes, for the parsers of engines and routers. */
  readonly optionChecks: readonly OptionCheck[];
  /** Whether a missing Slurm is an error, because the call is for a cluster. */
  readonly needsSlurm: boolean;
  /** Whether nodes are checked too, and report whether they share this machine's directories. */
  readonly asksNodes: boolean;
  run(command: SlurmCommand, args: readonly string[], input?: string): Promise<Answer | undefined>;
}

/** A check as data: its name and its function. */
export interface Check {
  readonly id: string;
  run(world: World): Promise<readonly Found[]>;
}
