import type { ClusterConfig } from '../recipe/cluster.ts';

const MACHINE: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64', ppc64: 'ppc64le' };

/** The node binary for each architecture (`uname -m`): the one that runs here, and what srtslurm.yaml names. */
export const runtimesOf = (
  cluster: ClusterConfig,
  arch: string,
  nodeBinary: string,
): Record<string, string> => ({
  [MACHINE[arch] ?? arch]: nodeBinary,
  ...cluster.runtime,
});
