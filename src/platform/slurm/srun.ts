import { INDEPENDENT_TASKS, optionWords, pyxisOptions } from '../containers/srun-options.ts';

/** One srun: the agents of one image, on all nodes that need the image. */
export interface AgentStep {
  readonly nodes: readonly string[];
  /** true: the nodes are all nodes of the allocation; a heterogeneous job has `hetGroups` components. */
  readonly everyNode: boolean;
  readonly hetGroups: number;
  /** The file for each agent's output; srun replaces %N with the node's name. */
  readonly output: string;
  readonly jobName: string;
  readonly container: { readonly image: string; readonly mounts: readonly string[] } | null;
  /** `srun_options` of the recipe. */
  readonly options: Readonly<Record<string, string>>;
  /** Those of the role or the service that these agents are for. */
  readonly own?: Readonly<Record<string, string>>;
  readonly command: readonly string[];
}

/** Options that the agents depend on. A recipe's srun_options do not change them. */
const OURS: Readonly<Record<string, string>> = {
  ...INDEPENDENT_TASKS,
  'ntasks-per-node': '1',
  mpi: 'none',
  'kill-on-bad-exit': '0',
};

/** Arguments of srun(1) for the agents of one image. */
export function agentStepArgs(step: AgentStep): string[] {
  const { nodes, everyNode, hetGroups, container } = step;
  const place: Record<string, string> =
    everyNode && hetGroups > 1
      ? { 'het-group': `0-${hetGroups - 1}` }
      : { nodes: `${nodes.length}`, ntasks: `${nodes.length}`, nodelist: nodes.join(',') };
  const options = {
    ...(container ? pyxisOptions(container.image, container.mounts) : {}),
    ...step.options,
    ...step.own,
    ...OURS,
    ...resourcesOf(step.own),
    ...place,
    'job-name': step.jobName,
    output: step.output,
  };
  return [...optionWords(options), ...step.command];
}

/**
 * The share of the node that a role or a service has for itself. Agents for everything have all of the node, whatever the
 * recipe says. With a number of CPUs and nothing about their binding, Slurm decides.
 */
function resourcesOf(own: Readonly<Record<string, string>> = {}): Record<string, string> {
  const { mem, 'cpu-bind': bind, 'cpus-per-task': cpus } = own;
  return {
    ...(mem === undefined ? {} : { mem }),
    ...(bind === undefined ? {} : { 'cpu-bind': bind }),
    ...(bind === undefined && cpus !== undefined ? { 'cpu-bind': 'false' } : {}),
  };
}
