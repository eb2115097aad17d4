import { existsSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import * as z from 'zod';
import { SrtctlError } from '../errors.ts';
import { problemsOf, RecipeProblems } from './problems.ts';
import { parseSource } from './source.ts';
import { positiveSchema } from './values.ts';

const aliasesSchema = z.record(z.string(), z.string()).nullish();

/**
 * srtslurm.yaml: what is the same for all jobs of a cluster. Keys that are not known are passed over: the file is
 * shared with other tools of the cluster.
 */
export const clusterConfigSchema = z.object({
  cluster: z.string().nullish(),
  default_account: z.string().nullish(),
  default_partition: z.string().nullish(),
  default_time_limit: z.string().nullish(),
  default_sbatch_directives: z
    .record(z.string(), z.union([z.string(), z.number()]).transform(String))
    .nullish(),
  gpus_per_node: positiveSchema.nullish(),
  network_interface: z.string().nullish(),
  srtctl_root: z.string().nullish(),
  output_dir: z.string().nullish(),
  model_paths: aliasesSchema,
  containers: aliasesSchema,
  default_mounts: aliasesSchema,
  use_gpus_per_node_directive: z.boolean().default(true),
  use_segment_sbatch_directive: z.boolean().default(true),
  use_exclusive_sbatch_directive: z.boolean().default(false),
});
export type ClusterConfig = z.infer<typeof clusterConfigSchema>;

/** The config of this cluster: $SRTSLURM_CONFIG, else srtslurm.yaml here or up to two directories above; {} when none. */
export function findClusterConfig(env: NodeJS.ProcessEnv, cwd: string): ClusterConfig {
  const named = env.SRTSLURM_CONFIG;
  if (named !== undefined && named !== '') {
    const path = resolve(cwd, named);
    if (!existsSync(path)) {
      throw new SrtctlError('no-cluster-config', `SRTSLURM_CONFIG names ${path}, which does not exist`);
    }
    return readClusterConfig(path);
  }
  const found = ['.', '..', '../..']
    .map((up) => resolve(cwd, up, 'srtslurm.yaml'))
    .find((path) => existsSync(path));
  return found === undefined ? clusterConfigSchema.parse({}) : readClusterConfig(found);
}

function readClusterConfig(path: string): ClusterConfig {
  const source = parseSource(path, readFileSync(path, 'utf8'));
  const parsed = clusterConfigSchema.safeParse(source.value ?? {}, { reportInput: true });
  if (parsed.success) return parsed.data;
  throw new RecipeProblems(problemsOf(parsed.error, (at) => source.place(at)));
}
