import { existsSync } from 'node:fs';

/** Device files of the drivers of NVIDIA and AMD; the last one is that of WSL. */
const DRIVERS = ['/dev/nvidiactl', '/dev/nvidia0', '/dev/kfd', '/dev/dxg'];

export const machineHasGpus = (): boolean => DRIVERS.some((path) => existsSync(path));
