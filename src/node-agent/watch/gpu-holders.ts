import { execFile } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { GpuHolder } from '../../messages/spec/gpu-holder.ts';
import { isOfJob } from '../leftovers/kin.ts';
import { programOf } from '../leftovers/leftovers.ts';

const run = promisify(execFile);
const TIMEOUT_MS = 10_000;
const PAUSE_MS = 500;

interface HolderInput {
  readonly jobId: string;
  /** The environment of the node's processes; its PATH is searched for nvidia-smi. */
  readonly env: Record<string, string>;
  /** How long the memory of ended processes may take to be freed. */
  readonly patienceMs?: number;
}

/** Processes outside of this job that hold a GPU of this node; empty where there is no nvidia-smi. */
export async function findGpuHolders(input: HolderInput): Promise<GpuHolder[]> {
  const until = performance.now() + (input.patienceMs ?? TIMEOUT_MS);
  for (;;) {
    const text = await ask(input.env, '--query-compute-apps=gpu_uuid,pid,process_name,used_memory');
    if (text.trim() === '') return [];
    const indices = parseGpus(await ask(input.env, '--query-gpu=index,uuid'));
    const held = parseApps(text, indices).filter(({ pid }) => !isOfJob(pid, input.jobId));
    // The driver may still list an ended process. A pid that is invisible here may belong to another
    // namespace.
    const living = held.filter(({ pid }) => existsSync(`/proc/${pid}`));
    if (living.length === held.length || performance.now() > until) return Promise.all(held.map(withNames));
    await sleep(PAUSE_MS);
  }
}

async function ask(env: Record<string, string>, query: string): Promise<string> {
  try {
    const { stdout } = await run('nvidia-smi', [query, '--format=csv,noheader,nounits'], {
      env,
      timeout: TIMEOUT_MS,
    });
    return stdout;
  } catch {
    return '';
  }
}

type Held = Pick<GpuHolder, 'gpu' | 'pid' | 'program' | 'memoryMiB'>;

const cells = (text: string): string[][] =>
  text
    .split('\n')
    .map((line) => line.split(', ').map((cell) => cell.trim()))
    .filter(([first]) => first !== '');

const parseGpus = (text: string): Map<string, number> =>
  new Map(cells(text).map(([index, uuid = '']) => [uuid, Number(index)]));

/** Lines as `GPU-5f..., 4242, python3, 71234`; a name may contain a comma. Exported for its test. */
export function parseApps(text: string, indices: ReadonlyMap<string, number>): Held[] {
  return cells(text).flatMap(([uuid = '', pid, ...rest]) => {
    const memory = Number(rest.at(-1));
    const gpu = indices.get(uuid);
    if (gpu === undefined || !/^\d+$/.test(pid ?? '')) return [];
    const program = rest.slice(0, -1).join(', ');
    return [{ gpu, pid: Number(pid), program, memoryMiB: Number.isFinite(memory) ? memory : null }];
  });
}

async function withNames(held: Held): Promise<GpuHolder> {
  const { pid } = held;
  const program = held.program === '' || held.program.startsWith('[') ? programOf(pid) : held.program;
  return { ...held, program, user: await userOf(pid) };
}

async function userOf(pid: number): Promise<string> {
  try {
    const { uid } = statSync(`/proc/${pid}`);
    const { stdout } = await run('id', ['-nu', String(uid)], { timeout: TIMEOUT_MS });
    return stdout.trim() || String(uid);
  } catch {
    return 'unknown';
  }
}
