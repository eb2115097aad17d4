import { closeSync, existsSync, openSync, readSync } from 'node:fs';

/** Node's name of an architecture (process.arch) to the name that `uname -m` prints. */
export const MACHINE_OF_ARCH: Readonly<Record<string, string>> = {
  x64: 'x86_64',
  arm64: 'aarch64',
  ppc64: 'ppc64le',
};

export const machineOfArch = (arch: string = process.arch): string => MACHINE_OF_ARCH[arch] ?? arch;

/** e_machine of elf(5) to the name that `uname -m` prints. */
const MACHINES: Readonly<Record<number, string>> = {
  3: 'i686',
  21: 'ppc64le',
  62: 'x86_64',
  183: 'aarch64',
  243: 'riscv64',
};

/** The architecture that a program was built for; undefined for a script or an unreadable file. */
export function machineOfProgram(file: string): string | undefined {
  const head = Buffer.alloc(20);
  try {
    const descriptor = openSync(file, 'r');
    try {
      if (readSync(descriptor, head, 0, 20, 0) < 20) return undefined;
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return undefined;
  }
  if (head.readUInt32BE(0) !== 0x7f_45_4c_46) return undefined;
  // Byte 5 holds the byte order.
  return MACHINES[head[5] === 2 ? head.readUInt16BE(18) : head.readUInt16LE(18)];
}

/** Device files of the drivers of NVIDIA and AMD; the last one is that of WSL. */
const DRIVERS = ['/dev/nvidiactl', '/dev/nvidia0', '/dev/kfd', '/dev/dxg'];

export const machineHasGpus = (): boolean => DRIVERS.some((path) => existsSync(path));
