import { join } from 'node:path';
import { stringify } from 'yaml';
import { shellQuote } from '../os/quote.ts';
import { INDEPENDENT_TASKS, optionWords } from '../platform/containers/srun-options.ts';
import { taskPatterns } from '../platform/containers/task-environment.ts';
import { installOptions } from '../platform/install-options.ts';
import { containerMounts, jobValues, withJobOptions } from '../platform/mounts.ts';
import { directiveValue } from '../platform/slurm/sbatch.ts';
import { asResolved } from '../recipe/layouts/layout.ts';
import type { LoadedVariant } from '../recipe/load.ts';
import type { ClusterConfig } from '../recipe/schema/cluster.ts';
import { holdsSecrets } from '../recipe/values/secrets.ts';
import { numbersOf } from '../recipe/variant.ts';
import { createMarkers } from './markers.ts';
import { staticPlan } from './plan.ts';
import { oneLine, pointFunctions } from './point.ts';

export interface StaticScriptInput {
  readonly variant: LoadedVariant;
  readonly cluster: ClusterConfig;
  /** The `#SBATCH` lines of the recipe and the cluster. */
  readonly directives: readonly string[];
  /** The path in `#SBATCH --output`. */
  readonly log: string;
  /** How long before the time limit Slurm signals the job. */
  readonly warningS: number;
  /** Absolute path of the job directory's parent. */
  readonly outputs: string;
  readonly distDir: string;
  /** Path of the node binary by architecture (uname -m). */
  readonly runtimes: Readonly<Record<string, string>>;
  /** Paths of nats-server and etcd as the nodes see them, or their names where PATH has them. */
  readonly programs: { readonly natsServer: string; readonly etcd: string };
  /** Directories that every process has at the end of its PATH. */
  readonly programDirs: readonly string[];
  readonly mock: boolean;
  readonly containers: boolean;
  /** Content of the setup script. */
  readonly setupScript: string | null;
  /** For `$VAR` in the cluster's mounts. */
  readonly env: NodeJS.ProcessEnv;
  readonly exists: (path: string) => boolean;
  /** library.sh: the functions that the script calls. */
  readonly library: string;
}

/**
 * The whole run of a variant as one bash script: an srun for each process, polling, and a cleanup at every
 * end. It uses the same plan as a run with agents, needs no Node on the compute nodes, and can be read.
 */
export function staticScript(input: StaticScriptInput): string {
  const { variant, cluster, outputs, distDir, mock, containers } = input;
  const { library: _, ...around } = input;
  const markers = createMarkers(JSON.stringify({ ...around, env: Object.values(input.env) }), outputs);
  const jobDir = `${outputs}/${markers.jobId}`;
  const setupScript = input.setupScript === null ? null : `${jobDir}/setup_script.sh`;
  const { natsServer, etcd } = input.programs;
  const { plan, runtime } = staticPlan({
    ...{ variant, cluster, markers, outputs, distDir, containers, mock, setupScript, natsServer },
  });
  const [first] = variant.points;
  if (!first) throw new TypeError('a variant without points');
  const places = {
    job: { id: markers.jobId, name: variant.name, jobDir, logDir: runtime.logDir },
    headAddress: markers.address(0),
    nodes: runtime.nodes,
  };
  const mounts = containers
    ? containerMounts({
        recipe: first.recipe,
        cluster,
        env: input.env,
        ...places,
        srtctl: { distDir, programDirs: input.programDirs, runtimes: input.runtimes },
        mock,
        exists: input.exists,
      })
    : [];
  const steps = new Map<string, number>();
  const points = plan.points.map((point) => ({
    ...point,
    processes: point.processes.map((spec) =>
      spec.id === 'etcd' ? { ...spec, argv: [etcd, ...spec.argv.slice(1)] } : spec,
    ),
  }));
  const functions = points.map((point) => {
    const recipe = withJobOptions(point.recipe, jobValues({ recipe: point.recipe, ...places }));
    return pointFunctions({
      point,
      markers,
      mounts,
      distDir,
      srunOptions: containers ? installOptions(recipe, input.setupScript) : recipe.srun_options,
      stepNumber: (step) => {
        const key = JSON.stringify(step);
        const number = steps.get(key) ?? steps.size;
        steps.set(key, number);
        return number;
      },
      config: stringify(asResolved(point.recipe)),
      secret: holdsSecrets(point.recipe),
      pointDir: runtime.pointDir(point.ordinal, point.name, numbersOf(variant)),
    });
  });
  const needsNode =
    mock || points.some(({ processes }) => processes.some(({ argv }) => argv.includes(markers.nodeBinary)));
  const path = mock ? [join(distDir, 'mock-bin')] : [];
  return `#!/bin/bash
# Made by srtctl (static mode): ${oneLine(variant.name)}
# ${plan.totalNodes} ${plan.totalNodes === 1 ? 'node' : 'nodes'}, ${points.length} ${points.length === 1 ? 'point' : 'points'}. An srun for each process; no coordinator, no agents.
# Exit codes: 0 the benchmarks ended with 0; 1 a point failed; 2 nothing was started; 130, 143 it was told to end.
#SBATCH --output=${directiveValue(input.log)}
# SIGTERM to this script alone, ${input.warningS} s before the time limit: what runs is stopped in good order.
#SBATCH --signal=B:TERM@${input.warningS}
#SBATCH --no-kill
#SBATCH --no-requeue
#SBATCH --open-mode=append
${input.directives.join('\n')}

outputs=${shellQuote(outputs)}
job_name=${shellQuote(variant.name)}
# By their numbers in the recipe: this job may have some of its points only.
point_names=(${points.map(({ ordinal, name }) => `[${ordinal}]=${shellQuote(name)}`).join(' ')})
nodes_needed=${plan.totalNodes}
needs_node=${needsNode ? 'yes' : 'no'}
network_interface=${shellQuote(cluster.network_interface ?? '')}
path_before=${markers.word(path.map((dir) => `${dir}:`).join(''))}
path_after=${markers.word(input.programDirs.map((dir) => `:${dir}`).join(''))}
# For every srun: beside the batch script and the other steps, with all that the job has on the node.
step_options=(${optionWords(INDEPENDENT_TASKS).join(' ')})
task_variables=${shellQuote(taskPatterns.task)}
job_variables=${shellQuote(taskPatterns.job)}
on_failure='${variant.sweep.on_failure === 'abort' ? 'abort' : 'continue'}'

${runtimeText(input.runtimes)}

${input.library.trim()}

# ==== The run =================================================================================================
${functions.join('')}
begin_job
${setupText(input)}${points.map(({ ordinal }) => `run_point ${ordinal}`).join('\n')}
end_job
`;
}

const setupText = ({ setupScript }: StaticScriptInput): string =>
  setupScript === null
    ? ''
    : `write_file "$job_dir/setup_script.sh" ${shellQuote(setupScript)}
`;

const runtimeText = (
  runtimes: Readonly<Record<string, string>>,
): string => `# The Node runtime for this architecture, for those programs of srtctl that need one (runtime in srtslurm.yaml).
case $(uname -m) in
${Object.entries(runtimes)
  .map(([arch, node]) => `  ${shellQuote(arch)}) node_binary=${shellQuote(node)} ;;`)
  .join('\n')}
  *) node_binary= ;;
esac`;
