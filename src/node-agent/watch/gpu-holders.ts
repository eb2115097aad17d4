import { existsSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GpuHolder } from '../../messages/spec/gpu-holder.ts';
import { outputOf } from '../../os/processes/output-of.ts';
import { userName } from '../../os/processes/user-name.ts';
import { isOfJob } from '../leftovers/kin.ts';
import { programOf } from '../leftovers/leftovers.ts';
import { rocmHolders } from './rocm-holders.ts';

const TIMEOUT_MS = 10_000;
const PAUSE_MS = 500;

interface HolderInput {
  readonly jobId: string;
  /** The environment of the node's processes; its PATH is searched for nvidia-smi and rocm-smi. */
  readonly env: Record<string, string>;
  /** How long the memory of ended processes may take to be freed. */
  readonly patienceMs?: number;
}

/** Processes outside of this job that hold a GPU of this node; empty where neither nvidia-smi nor rocm-smi is there. */
export async function findGpuHolders(input: HolderInput): Promise<GpuHolder[]> {
  const until = performance.now() + (input.patienceMs ?? TIMEOUT_MS);
  for (;;) {
    const all = [...(await onNvidia(input.env)), ...(await rocmHolders(input.env))];
    const held = all.filter(({ pid }) => !isOfJob(pid, input.jobId));
    // The driver may still list an ended process. A pid that is invisible here may belong to another
    // namespace.
    const living = held.filter(({ pid }) => existsSync(`/proc/${pid}`));
    if (living.length === held.length || performance.now() > until) return Promise.all(held.map(withNames));
    await sleep(PAUSE_MS);
  }
}

async function onNvidia(env: Record<string, string>): Promise<Held[]> {
  const text = await ask(env, '--query-compute-apps=gpu_uuid,pid,process_name,used_memory');
  if (text.trim() === '') return [];
  return parseApps(text, parseGpus(await ask(env, '--query-gpu=index,uuid')));
}

async function ask(env: Record<string, string>, query: string): Promise<string> {
  try {
    const args = [query, '--format=csv,noheader,nounits'];
    return await outputOf('nvidia-smi', args, { env, timeoutMs: TIMEOUT_MS });
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
    return await userName(uid);
  } catch {
    return 'unknown';
  }
}
