/** One srun: the agents of one image, on all nodes that need it. */
export interface AgentStep {
  readonly nodes: readonly string[];
  /** true: the nodes are all of the allocation's, of which a heterogeneous job has `hetGroups`. */
  readonly everyNode: boolean;
  readonly hetGroups: number;
  /** Takes what each agent prints; srun puts the node's name in place of %N. */
  readonly output: string;
  readonly jobName: string;
  readonly container: { readonly image: string; readonly mounts: readonly string[] } | null;
  /** `srun_options` of the recipe. */
  readonly options: Readonly<Record<string, string>>;
  readonly command: readonly string[];
}

/** Options that the agents depend on; a recipe's srun_options do not change them. */
const OURS: Readonly<Record<string, string>> = {
  // Beside the batch script and the other steps, with all that the job has on the node.
  overlap: '',
  mem: '0',
  'cpu-bind': 'none',
  'ntasks-per-node': '1',
  mpi: 'none',
  // A node, or an agent, that ends does not take the others with it.
  'no-kill': '',
  wait: '0',
  'kill-on-bad-exit': '0',
  input: 'none',
};

/** Arguments of srun(1) for the agents of one image. */
export function agentStepArgs(step: AgentStep): string[] {
  const { nodes, everyNode, hetGroups, container } = step;
  const place: Record<string, string> =
    everyNode && hetGroups > 1
      ? { 'het-group': `0-${hetGroups - 1}` }
      : { nodes: `${nodes.length}`, ntasks: `${nodes.length}`, nodelist: nodes.join(',') };
  const pyxis: Record<string, string> = container
    ? {
        'container-image': container.image,
        ...(container.mounts.length > 0 ? { 'container-mounts': container.mounts.join(',') } : {}),
        'no-container-entrypoint': '',
        'no-container-mount-home': '',
      }
    : {};
  const options = {
    ...pyxis,
    ...step.options,
    ...OURS,
    ...place,
    'job-name': step.jobName,
    output: step.output,
  };
  return [...Object.entries(options).flatMap(asOption), ...step.command];
}

const asOption = ([name, value]: [string, string]): string[] => {
  if (value === 'false') return [];
  return [value === '' || value === 'true' ? `--${name}` : `--${name}=${value}`];
};

export { stepEnvironment } from '../containers/step-environment.ts';
