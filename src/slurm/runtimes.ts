import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { ClusterConfig } from '../recipe/cluster.ts';

/** Architectures as Node calls them, and as `uname -m` does. */
const MACHINE: Readonly<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64', ppc64: 'ppc64le' };

interface Here {
  readonly arch: string;
  readonly nodeBinary: string;
  readonly exists: (path: string) => boolean;
}

/**
 * The node binary for each architecture (`uname -m`): what srtslurm.yaml names; else, for the architecture of this machine,
 * the one that runs here; else the one that `make runtimes` has brought, which needs no more of a node or an image than glibc 2.28 and libstdc++ (https://nodejs.org, BUILDING.md of Node
 * 20).
 * @param distDir directory of srtctl's bundled programs; what was brought is beside it
 */
export function runtimesOf(
  cluster: ClusterConfig,
  distDir: string,
  { arch, nodeBinary, exists }: Here = {
    arch: process.arch,
    nodeBinary: process.execPath,
    exists: existsSync,
  },
): Record<string, string> {
  const brought = Object.values(MACHINE).flatMap((machine) => {
    const path = join(dirname(distDir), '.srtctl/node', machine, 'bin/node');
    return exists(path) ? [[machine, path]] : [];
  });
  return { ...Object.fromEntries(brought), [MACHINE[arch] ?? arch]: nodeBinary, ...cluster.runtime };
}
