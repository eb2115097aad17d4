import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { MACHINE_OF_ARCH, machineOfArch } from '../os/machine.ts';
import type { ClusterConfig } from '../recipe/schema/cluster.ts';

interface Here {
  readonly arch: string;
  readonly nodeBinary: string;
  readonly exists: (path: string) => boolean;
}

const HERE: Here = { arch: process.arch, nodeBinary: process.execPath, exists: existsSync };

/**
 * The node binary for each architecture (`uname -m`): the binary that srtslurm.yaml names; else, for the architecture
 * of this machine, the binary that runs here; else the binary that `make runtimes` has installed.
 * @param distDir directory of srtctl's bundled programs; the installed binaries are beside it
 */
export function runtimesOf(
  cluster: ClusterConfig,
  distDir: string,
  here: Here = HERE,
): Record<string, string> {
  return { ...broughtTo(distDir, here), [machineOfArch(here.arch)]: here.nodeBinary, ...cluster.runtime };
}

/**
 * The fallback for images and nodes where the binary of `runtimesOf` does not run, by architecture. The binary of `make
 * runtimes` needs only glibc 2.28 and libstdc++ (https://nodejs.org, BUILDING.md of Node 20). A binary that
 * srtslurm.yaml names is the user's choice, and has no fallback.
 */
export function spareRuntimesOf(
  cluster: ClusterConfig,
  distDir: string,
  here: Here = HERE,
): Record<string, string> {
  const machine = machineOfArch(here.arch);
  const { [machine]: brought } = broughtTo(distDir, here);
  const isMeant = cluster.runtime?.[machine] !== undefined;
  return brought === undefined || isMeant || brought === here.nodeBinary ? {} : { [machine]: brought };
}

function broughtTo(distDir: string, { exists }: Here): Record<string, string> {
  const brought = Object.values(MACHINE_OF_ARCH).flatMap((machine) => {
    const path = join(dirname(distDir), '.srtctl/node', machine, 'bin/node');
    return exists(path) ? [[machine, path]] : [];
  });
  return Object.fromEntries(brought);
}
