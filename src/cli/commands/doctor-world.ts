import { isAbsolute } from 'node:path';
import { type Finding, fail } from '../../doctor/finding.ts';
import type { Wanted, World } from '../../doctor/world.ts';
import { SrtctlError } from '../../os/errors.ts';
import { eachPoint, nodesNeeded, planSweep } from '../../plan/plan.ts';
import { createRuntimeContext, dryRunInput } from '../../plan/runtime-context.ts';
import { slurm } from '../../platform/slurm/commands.ts';
import { directiveValue, timeLimitOf } from '../../platform/slurm/sbatch.ts';
import { findRecipes, type LoadedVariant, loadAll, parseEdits } from '../../recipe/load.ts';
import {
  type ClusterConfig,
  clusterConfigFile,
  clusterConfigSchema,
  findClusterConfig,
} from '../../recipe/schema/cluster.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import { FIRST_PORTS, PUBLIC_PORT } from '../../recipe/values/ports.ts';
import { optionChecksOf } from '../dry-run/option-checks.ts';
import { distDirectory } from '../submit/local-job.ts';
import { outputsDirectory, requireSubmittable, scriptOf } from '../submit/slurm-job.ts';
import { type EditOptions, editTexts } from '../terminal/options.ts';

/** The options of the command. */
export interface DoctorCliOptions extends EditOptions {
  readonly file?: readonly string[];
  readonly model?: readonly string[];
  readonly node?: readonly string[];
  readonly all?: boolean;
  readonly wait: number;
  readonly output?: string;
  readonly json?: boolean;
  /** Whether engines and routers parse the planned command lines. */
  readonly parsesOptions?: boolean;
}

/** The world for the checks; an invalid srtslurm.yaml is the first finding. */
export async function worldOf(options: DoctorCliOptions): Promise<{ world: World; findings: Finding[] }> {
  const { env } = process;
  const cwd = process.cwd();
  const { cluster, clusterFile, findings } = readCluster(env, cwd);
  const edits = parseEdits(editTexts(options));
  const variants = options.file ? loadAll(await findRecipes(options.file), { cluster, env, edits }) : [];
  findings.push(...variants.flatMap((variant) => refusalOf(variant, cluster)));
  const outputs = outputsDirectory(options.output, cluster);
  const [first, ...others] = variants;
  const wanted = first ? wantedBy(first, others, cluster, outputs) : wantedByDefault(cluster);
  const distDir = distDirectory();
  // What apply refuses has no plan.
  const checked = options.parsesOptions && findings.length === 0 ? variants : [];
  const world: World = {
    env,
    cwd,
    cluster,
    clusterFile,
    distDir,
    outputs,
    optionChecks: optionChecksOf(checked, cluster, { outputs, distDir }),
    wanted: { ...wanted, models: [...new Set([...wanted.models, ...(options.model ?? [])])] },
    needsSlurm: options.all === true || options.node !== undefined || clusterFile !== undefined,
    asksNodes: options.all === true || options.node !== undefined,
    run: async (command, args, input) =>
      slurm(command, args, input === undefined ? {} : { input }).catch((error: unknown) => {
        if (error instanceof SrtctlError) return undefined;
        throw error;
      }),
  };
  return { world, findings };
}

function readCluster(env: NodeJS.ProcessEnv, cwd: string) {
  const findings: Finding[] = [];
  try {
    return { cluster: findClusterConfig(env, cwd), clusterFile: clusterConfigFile(env, cwd), findings };
  } catch (error) {
    if (!(error instanceof SrtctlError)) throw error;
    const found = fail(error.lines().join('; '), 'correct it, because every command reads it');
    findings.push({ check: 'srtslurm.yaml', where: 'login', ...found });
    return { cluster: clusterConfigSchema.parse({}), clusterFile: undefined, findings };
  }
}

/** The findings for which `apply` would refuse the variant. */
function refusalOf(variant: LoadedVariant, cluster: ClusterConfig): Finding[] {
  try {
    requireSubmittable(variant, cluster, false);
    return [];
  } catch (error) {
    if (!(error instanceof SrtctlError)) throw error;
    const found = fail(error.lines().join('; '), 'correct the recipe: apply refuses it (exit code 2)');
    return [{ check: 'recipe', where: 'login', ...found }];
  }
}

/** The needs of the recipes; Slurm checks the script of the first one. */
function wantedBy(
  first: LoadedVariant,
  others: readonly LoadedVariant[],
  cluster: ClusterConfig,
  outputs: string,
): Wanted {
  const variants = [first, ...others];
  const recipes = variants.flatMap(({ points }) => points.map(({ recipe }) => recipe));
  const recipe = first.points[0]?.recipe;
  const ports = variants.flatMap((variant) => {
    const names = Array.from({ length: nodesNeeded(variant) }, (_, index) => `node${index + 1}`);
    const plan = planSweep(variant, createRuntimeContext(dryRunInput(names, cluster)));
    const own = new Set<number>();
    for (const { processes } of eachPoint(plan))
      for (const { ports: of } of processes) for (const port of Object.values(of)) own.add(port);
    return [...own];
  });
  const script = scriptOf({ variant: first, nodes: nodesNeeded(first), cluster, outputs });
  return {
    partition: recipe?.slurm.partition ?? cluster.default_partition ?? undefined,
    timeLimit: recipe && timeLimitOf(recipe, cluster),
    paths: [...new Set(recipes.flatMap((each) => pathsOf(each)))],
    models: [...new Set(recipes.map(({ model }) => model.path).filter((path) => !path.startsWith('hf:')))],
    ports: [...new Set(ports)].filter((port) => port > 0),
    gpus: recipe?.resources.gpus_per_node,
    // Some Slurm releases do not know the option; apply then leaves it out.
    script: script.replaceAll(/^#SBATCH --segment=.*\n/gm, ''),
  };
}

/** Image files of a recipe, and host directories of its mounts that do not depend on the job. */
function pathsOf(recipe: Recipe): string[] {
  const { model, benchmark, frontend, roles, extra_mount: extra, container_mounts: mounts } = recipe;
  const images = [
    ...[model.container, benchmark.container_image, frontend.nginx_container],
    ...[roles?.prefill?.container, roles?.decode?.container, roles?.agg?.container],
  ];
  const hosts = [...(extra ?? []).map((mount) => mount.split(':')[0]), ...Object.keys(mounts ?? {})];
  return [...images, ...hosts].filter(
    (path): path is string => path != null && isAbsolute(path) && !/[{$]/.test(path),
  );
}

function wantedByDefault(cluster: ClusterConfig): Wanted {
  const partition = cluster.default_partition ?? undefined;
  const gpus = cluster.gpus_per_node ?? undefined;
  const options = Object.entries({
    nodes: '1',
    ...(partition === undefined ? {} : { partition }),
    ...(cluster.default_account == null ? {} : { account: cluster.default_account }),
    ...(cluster.default_time_limit == null ? {} : { time: cluster.default_time_limit }),
    ...(gpus !== undefined && cluster.use_gpus_per_node_directive ? { 'gpus-per-node': `${gpus}` } : {}),
    ...cluster.default_sbatch_directives,
  });
  const lines = options.map(
    ([name, value]) => `#SBATCH --${name}${value === '' ? '' : `=${directiveValue(value)}`}`,
  );
  return {
    partition,
    timeLimit: cluster.default_time_limit ?? undefined,
    models: [],
    paths: [],
    ports: [PUBLIC_PORT, ...FIRST_PORTS],
    gpus,
    script: ['#!/bin/sh', ...lines, 'true', ''].join('\n'),
  };
}
