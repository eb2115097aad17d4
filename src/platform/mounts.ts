import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { optionCacheOf } from '../plan/options/check-step.ts';
import { expandText } from '../recipe/resolve.ts';
import type { ClusterConfig } from '../recipe/schema/cluster.ts';
import type { Recipe } from '../recipe/schema/schema.ts';
import { fillAll, fillText, type JobValues } from '../recipe/values/placeholders.ts';

export interface MountInput {
  readonly recipe: Recipe;
  readonly cluster: ClusterConfig;
  /** Variables for `$VAR` in the cluster's mounts. */
  readonly env: NodeJS.ProcessEnv;
  readonly job: {
    readonly id: string;
    readonly name: string;
    readonly jobDir: string;
    readonly logDir: string;
  };
  readonly headAddress: string;
  /** Names of the allocation's nodes. */
  readonly nodes: readonly string[];
  readonly srtctl: {
    readonly distDir: string;
    readonly programDirs: readonly string[];
    readonly runtimes: Readonly<Record<string, string>>;
    readonly spareRuntimes?: Readonly<Record<string, string>>;
  };
  readonly mock: boolean;
  readonly exists?: (path: string) => boolean;
}

/** The placeholders of a job, as the host sees its paths. */
export const jobValues = ({
  recipe,
  job,
  headAddress,
  nodes,
}: Pick<MountInput, 'recipe' | 'job' | 'headAddress' | 'nodes'>): JobValues => ({
  job_id: job.id,
  run_name: `${job.name}_${job.id}`,
  log_dir: job.logDir,
  model_path: recipe.model.path,
  container_image: recipe.model.container,
  gpus_per_node: String(recipe.resources.gpus_per_node),
  head_node_ip: headAddress,
  nodelist: nodes.join(','),
});

/** A recipe whose options of srun know the job. */
export function withJobOptions(recipe: Recipe, values: JobValues): Recipe {
  const options = fillAll(recipe.srun_options, values);
  return options === recipe.srun_options ? recipe : { ...recipe, srun_options: options };
}

/**
 * The mounts of a container, `host:container[:flags]`. A later mount replaces an earlier one at the same path. The
 * order: model, logs and configs; the cluster's mounts; the job's mounts; srtctl's own, at the same paths as on the
 * host, because agents and their commands name these paths.
 */
export function containerMounts(input: MountInput): string[] {
  const { recipe, cluster, env, job, srtctl, mock, exists = existsSync } = input;
  const { path } = recipe.model;
  const known = jobValues(input);
  const expand = (text: string): string =>
    fillText(expandText(text.replace(/^~(?=\/|$)/, env.HOME ?? '~'), env), known);
  const configs = cluster.srtctl_root ? join(cluster.srtctl_root, 'configs') : undefined;
  const same = (each: string): [string, string] => [each, each];
  const mounts: [string, string][] = [
    ...(path.startsWith('hf:') || (mock && !exists(path)) ? [] : [[path, '/model'] as [string, string]]),
    [job.logDir, '/logs'],
    ...(configs !== undefined && exists(configs) ? [[configs, '/configs'] as [string, string]] : []),
    ...Object.entries(cluster.default_mounts ?? {}).map(([host, inside]): [string, string] => [
      expand(host),
      expand(inside),
    ]),
    ...(cluster.hf_home != null && path.startsWith('hf:') ? [same(cluster.hf_home)] : []),
    ...(recipe.model.stage_dir != null && !mock ? [same(recipe.model.stage_dir)] : []),
    ...(recipe.extra_mount ?? []).map((mount): [string, string] => {
      const [host = '', ...inside] = mount.split(':');
      return [expand(host), expand(inside.join(':') || host)];
    }),
    ...Object.entries(recipe.container_mounts ?? {}).map(([host, inside]): [string, string] => [
      expand(host),
      expand(inside),
    ]),
    same(job.jobDir),
    ...(mock ? [] : [optionCacheOf(job.jobDir)]).filter((dir) => exists(dir)).map(same),
    same(srtctl.distDir),
    ...[...new Set([srtctl.runtimes, srtctl.spareRuntimes ?? {}].flatMap(Object.values<string>))]
      .filter((node) => exists(node))
      .map(same),
    ...srtctl.programDirs.filter((dir) => !isSystemDir(dir) && exists(dir)).map(same),
  ];
  const byTarget = new Map<string, string>();
  for (const [host, inside] of mounts) {
    const target = inside.split(':')[0] ?? inside;
    byTarget.delete(target);
    byTarget.set(target, `${host}:${inside}`);
  }
  return [...byTarget.values()];
}

/** A container has its own versions of these directories, and must keep them. */
const isSystemDir = (dir: string): boolean =>
  ['/usr', '/usr/local', '/'].includes(dirname(dir)) && ['bin', 'sbin'].includes(dir.split('/').at(-1) ?? '');
