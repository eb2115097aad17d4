import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import * as z from 'zod';
import { SrtctlError } from '../../os/errors.ts';
import { readOptions } from '../source/duplicates.ts';
import { type OnProblem, parseKnown } from '../source/parse-known.ts';
import { RecipeProblems } from '../source/problems.ts';
import { parseSource } from '../source/source.ts';
import { readTrustedFile } from '../source/trusted-file.ts';
import { mountMapSchema } from '../values/mount-path.ts';
import { timeLimitSchema } from '../values/time-limit.ts';
import { directivesSchema, lineSchema, positiveSchema } from '../values/values.ts';
import { gpuExporterSchema, hostSetupSchema } from './observability.ts';
import { reportingSchema } from './reporting.ts';

const aliases = (what: string) => z.record(z.string(), z.string()).nullish().describe(what);

const visibleDevicesSchema = z.enum(['CUDA_VISIBLE_DEVICES', 'HIP_VISIBLE_DEVICES', 'ROCR_VISIBLE_DEVICES']);
export type VisibleDevices = z.infer<typeof visibleDevicesSchema>;

/** srtslurm.yaml: settings for all jobs of a cluster. */
export const clusterConfigSchema = z.strictObject({
  cluster: lineSchema.nullish().describe('name of the cluster'),
  default_account: lineSchema.nullish().describe('Slurm account of recipes that name none'),
  default_partition: lineSchema.nullish().describe('Slurm partition of recipes that name none'),
  default_time_limit: timeLimitSchema
    .nullish()
    .describe('time limit of recipes that have none, as sbatch(1) reads it'),
  default_sbatch_directives: directivesSchema
    .nullish()
    .describe('further options of sbatch, without the leading dashes; a recipe may set them otherwise'),
  default_health_check: z
    .strictObject({
      interval_seconds: positiveSchema.nullish().describe('seconds between two checks'),
      max_attempts: positiveSchema.nullish().describe('checks after which a worker has failed'),
    })
    .nullish()
    .describe('health_check of recipes that have none'),
  default_supervision: z
    .record(z.string(), z.unknown())
    .nullish()
    .describe('supervision of recipes that leave a key of it out'),
  bus: z
    .strictObject({
      exec: z
        .boolean()
        .default(true)
        .describe('false: no job lets `srtctl exec` and `gpu` run commands, whatever its recipe says'),
    })
    .nullish()
    .describe("srtctl's own messages"),
  gpus_per_node: positiveSchema.nullish().describe('GPUs of a node, for recipes that do not say'),
  visible_devices_env: visibleDevicesSchema
    .nullish()
    .describe(
      'variable that chooses the GPUs of a worker: by default CUDA_VISIBLE_DEVICES; on ROCm one of the other two, which is then the only mask',
    ),
  default_gpu_type: z.string().nullish().describe('resources.gpu_type of recipes that do not say'),
  network_interface: lineSchema
    .nullish()
    .describe(
      'interface whose address nodes use among themselves; by default the one that routes to the head node',
    ),
  srtctl_root: z.string().nullish().describe('directory of srtctl on the shared file system'),
  output_dir: z.string().nullish().describe('where the output directories of jobs are; by default ./outputs'),
  model_paths: aliases('directories of models, by the names that recipes give them'),
  containers: aliases('images, by the names that recipes give them'),
  default_mounts: mountMapSchema
    .nullish()
    .describe('mounts of every container: host directory, and where it is in the container'),
  hf_home: z
    .string()
    .nullish()
    .describe(
      'directory on the shared file system where hf: models are kept (HF_HOME of the engines); it is mounted at its own path',
    ),
  default_bash_preamble: z.string().nullish().describe('shell commands before every command in a container'),
  default_host_setup: hostSetupSchema.nullish().describe('host_setup of recipes that have none'),
  use_gpus_per_node_directive: z.boolean().default(true).describe('ask for GPUs with --gpus-per-node'),
  use_segment_sbatch_directive: z
    .boolean()
    .default(true)
    .describe('ask for all nodes within one segment, with --segment'),
  use_exclusive_sbatch_directive: z
    .boolean()
    .default(false)
    .describe('ask for whole nodes, with --exclusive'),
  use_het_jobs: z
    .boolean()
    .default(false)
    .describe('resources.het_jobs of disaggregated recipes that do not say'),
  nginx_raise_ulimit: z
    .boolean()
    .nullish()
    .describe('frontend.nginx_raise_ulimit of recipes that do not say'),
  preflight: z.boolean().default(true).describe('look for model and image before a job is submitted'),
  default_gpu_exporter: gpuExporterSchema
    .nullish()
    .describe("exporter of the GPUs' metrics of recipes that name none"),
  launcher: z
    .enum(['slurm', 'local', 'docker'])
    .nullish()
    .describe('where processes run; srtctl apply --local runs a recipe on this machine'),
  docker_args: z.array(z.string()).nullish().describe('further options of docker run, for launcher: docker'),
  max_gpu_hours: z
    .number()
    .positive()
    .nullish()
    .describe('GPU-hours (nodes, GPUs and time limit) of a job above which apply asks or refuses'),
  cloud: z.record(z.string(), z.string()).nullish().describe('for other tools; srtctl ignores it'),
  reporting: reportingSchema.nullish().describe('reporting of recipes that have none'),
  telemetry: z
    .record(z.string(), z.unknown())
    .nullish()
    .describe(
      'telemetry of recipes that do not say: enabled, and interval_ms or collect_interval_ms; srtctl ignores the other keys',
    ),
  record_launch_plan: z.boolean().nullish().describe('keep every command that was run; srtctl always does'),
  git_http_version: z.string().nullish().describe('version of HTTP with which git clones'),
  runtime: z
    .record(z.string(), z.string())
    .nullish()
    .describe('path of the node binary on compute nodes, by architecture as `uname -m` says it'),
  container_runtime: z
    .enum(['pyxis', 'apptainer', 'enroot', 'docker', 'podman', 'none'])
    .nullish()
    .describe(
      'what starts containers: pyxis one on each node, around the agent; apptainer, enroot, docker and podman one for each process; none: engines are on the nodes themselves. By default pyxis',
    ),
});
export type ClusterConfig = z.infer<typeof clusterConfigSchema>;

/** The config of this cluster: $SRTSLURM_CONFIG, else srtslurm.yaml here or up to two directories above; {} when none. */
export function findClusterConfig(
  env: NodeJS.ProcessEnv,
  cwd: string,
  onUnknownKey?: OnProblem,
): ClusterConfig {
  const found = clusterConfigFile(env, cwd);
  return found === undefined ? clusterConfigSchema.parse({}) : readClusterConfig(found, env, onUnknownKey);
}

/** Path of the config of this cluster; undefined when there is none. */
export function clusterConfigFile(env: NodeJS.ProcessEnv, cwd: string): string | undefined {
  const named = env.SRTSLURM_CONFIG;
  if (named !== undefined && named !== '') {
    const path = resolve(cwd, named);
    if (existsSync(path)) return path;
    throw new SrtctlError('no-cluster-config', `SRTSLURM_CONFIG names ${path}, which does not exist`);
  }
  return ['.', '..', '../..'].map((up) => resolve(cwd, up, 'srtslurm.yaml')).find((path) => existsSync(path));
}

function readClusterConfig(path: string, env: NodeJS.ProcessEnv, onUnknownKey?: OnProblem): ClusterConfig {
  const warn = (line: string) => void process.stderr.write(`srtctl: warning: ${line}\n`);
  const source = parseSource(path, readTrustedFile(path, { env }), [], readOptions(env, warn));
  const parsed = parseKnown(clusterConfigSchema, source.value ?? {}, (at) => source.place(at), onUnknownKey);
  if ('data' in parsed) return parsed.data;
  throw new RecipeProblems(parsed.problems);
}
