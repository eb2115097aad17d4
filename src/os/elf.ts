import { closeSync, openSync, readSync } from 'node:fs';

/** e_machine of elf(5) to the name that `uname -m` prints. */
const MACHINES: Readonly<Record<number, string>> = {
  3: 'i686',
  21: 'ppc64le',
  62: 'x86_64',
  183: 'aarch64',
  243: 'riscv64',
};

/** The architecture that a program was built for; undefined for a script or an unreadable file. */
export function machineOf(file: string): string | undefined {
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
