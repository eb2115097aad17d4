import { type ProcessRuntime, processRuntimeSchema } from '../messages/spec/launch-settings.ts';
import type { ClusterConfig } from '../recipe/schema/cluster.ts';

export type ContainerRuntime = 'none' | 'pyxis' | ProcessRuntime;

/**
 * The runtime for the containers of a job. Simulated engines are programs of the node, and pyxis needs Slurm. So
 * without Slurm, or with `--mock`, containers only run when the cluster config names their runtime.
 */
export function containerRuntimeOf(
  { container_runtime: told }: Pick<ClusterConfig, 'container_runtime'>,
  { mock, mode }: { readonly mock: boolean; readonly mode: 'local' | 'slurm' },
): ContainerRuntime {
  const runtime = told ?? (mock ? 'none' : 'pyxis');
  return mode === 'local' && runtime === 'pyxis' ? 'none' : runtime;
}

/** The runtime with which agents start a container for each process; undefined when agents start no containers. */
export const processRuntimeOf = (runtime: ContainerRuntime): ProcessRuntime | undefined =>
  processRuntimeSchema.safeParse(runtime).data;
