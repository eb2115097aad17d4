import { outputOf } from '../../os/processes/output-of.ts';

const TIMEOUT_MS = 10_000;

/** A process on an AMD GPU; its memory on all its GPUs is at the first of them. */
export interface RocmHolder {
  readonly gpu: number;
  readonly pid: number;
  readonly program: string;
  readonly memoryMiB: number | null;
}

/** The processes on the AMD GPUs of this node, as rocm-smi knows them; empty where there is no rocm-smi. */
export async function rocmHolders(env: Readonly<Record<string, string>>): Promise<RocmHolder[]> {
  const ask = (option: string) =>
    outputOf('rocm-smi', [option], { env, timeoutMs: TIMEOUT_MS }).catch(() => '');
  const gpus = parsePidGpus(await ask('--showpidgpus'));
  if (gpus.size === 0) return [];
  const processes = parsePids(await ask('--showpids'));
  return [...gpus].flatMap(([pid, indices]) => {
    const { program = '', memoryMiB = null } = processes.get(pid) ?? {};
    return indices.map((gpu, at) => ({ gpu, pid, program, memoryMiB: at === 0 ? memoryMiB : null }));
  });
}

/**
 * `PID 4242 is using 2 DRM device(s):`, and then the indices of these GPUs, on one line (ROCm 4) or one on each (ROCm 6). A
 * process with 0 of them has only opened the driver: monitors do.
 */
export function parsePidGpus(text: string): Map<number, number[]> {
  const found = new Map<number, number[]>();
  let pid: number | undefined;
  for (const line of text.split('\n')) {
    const [, next] = /^PID (\d+) is using \d+ DRM device/.exec(line) ?? [];
    if (next !== undefined) pid = Number(next);
    else if (pid !== undefined && /^\d+(\s+\d+)*\s*$/.test(line))
      found.set(pid, [...(found.get(pid) ?? []), ...line.trim().split(/\s+/).map(Number)]);
    else pid = undefined;
  }
  return found;
}

/** A line for each process: its pid, its name, and how many GPUs, bytes of memory, bytes of SDMA and units it uses. */
const PROCESS = /^(\d+)\s+(.*?)\s+\d+\s+(\d+|UNKNOWN)\s+(?:\d+|UNKNOWN)\s+(?:\d+|UNKNOWN)\s*$/;

export function parsePids(text: string): Map<number, { program: string; memoryMiB: number | null }> {
  return new Map(
    text.split('\n').flatMap((line) => {
      const [, pid, name = '', bytes] = PROCESS.exec(line) ?? [];
      if (pid === undefined) return [];
      const memoryMiB = bytes === 'UNKNOWN' ? null : Math.round(Number(bytes) / 1_048_576);
      return [[Number(pid), { program: name === 'UNKNOWN' ? '' : name, memoryMiB }] as const];
    }),
  );
}
