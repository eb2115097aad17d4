import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { type FileHandle, open, readdir } from 'node:fs/promises';
import { markIn, type OwnerMark } from '../../os/processes/owner-mark.ts';
import { startOf } from '../../os/processes/proc-stat.ts';

/** Files of /proc that are read at the same time: the number of Node's threads for it. */
const PARALLEL = 4;
/** Larger than most environments. */
const PIECE = 64 * 1024;

/**
 * Processes are found by their owner's mark, a limit that they cannot lose (owner-mark.ts). A hint in the
 * environment serves for processes without that limit: tasks that Slurm starts, containers under a daemon,
 * children of an agent whose own limit was too low. A program that sets its title (setproctitle) erases the
 * hint from /proc/PID/environ, which is NUL-separated and as of exec.
 */
const isPid = (name: string): boolean => /^[0-9]+$/.test(name);

const hasEntry = (environ: string, entry: string): boolean =>
  environ.startsWith(`${entry}\0`) || environ.includes(`\0${entry}\0`) || environ.endsWith(`\0${entry}`);

/** The criteria of a search: the mark of an owner, or an entry (NAME=value) of the environment. */
export interface Sought {
  readonly entry: string;
  /** The owner's hard limit; undefined where it could set none. */
  readonly hard?: bigint | undefined;
  /** Restricts the search to one process and its descendants. */
  readonly number?: number | undefined;
}

export const isMarked = (mark: OwnerMark | undefined, { hard, number }: Sought): boolean =>
  mark !== undefined && mark.hard === hard && (number === undefined || mark.number === number);

/** The readable data of a process; '' for unreadable data: of another user, or of an ended process. */
export interface Seen {
  readonly pid: number;
  readonly mark: OwnerMark | undefined;
  readonly environ: string;
}

/** Calls `tell` for every process that has not ended. */
export async function eachProcess(tell: (seen: Seen) => void): Promise<void> {
  const pids = (await readdir('/proc')).filter(isPid);
  const reader = async (): Promise<void> => {
    const buffer = Buffer.allocUnsafeSlow(PIECE);
    for (let pid = pids.pop(); pid !== undefined; pid = pids.pop()) {
      const read = (name: string) => readInto(buffer, `/proc/${pid}/${name}`).catch(() => '');
      const mark = markIn(await read('limits'));
      const environ = await read('environ');
      // A zombie keeps its limits, and its environment is empty.
      if (environ !== '' || (mark !== undefined && startOf(Number(pid)) !== undefined))
        tell({ pid: Number(pid), mark, environ });
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, reader));
}

/**
 * A file's text, read through a shared buffer. readFile would allocate 64 KiB for each file without a known
 * size, so the memory of an agent that repeatedly reads thousands of processes would grow.
 */
async function readInto(buffer: Buffer, path: string): Promise<string> {
  const file: FileHandle = await open(path, 'r');
  try {
    let text = '';
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, null);
      if (bytesRead === 0) return text;
      text += buffer.toString('latin1', 0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

/** Pids of the processes that match. */
export async function findProcesses(sought: Sought): Promise<number[]> {
  const found: number[] = [];
  await eachProcess(({ pid, mark, environ }) => {
    if (isMarked(mark, sought) || hasEntry(environ, sought.entry)) found.push(pid);
  });
  return found;
}

/** The same, synchronously, for the last moments of an agent. */
export function findProcessesSync(sought: Sought): number[] {
  const read = (pid: string, name: string): string => {
    try {
      return readFileSync(`/proc/${pid}/${name}`, 'latin1');
    } catch {
      return '';
    }
  };
  return readdirSync('/proc')
    .filter(isPid)
    .filter((pid) =>
      isMarked(markIn(read(pid, 'limits')), sought)
        ? startOf(Number(pid)) !== undefined
        : hasEntry(read(pid, 'environ'), sought.entry),
    )
    .map(Number);
}

/** The value of a variable in the text of /proc/PID/environ. */
export function valueIn(environ: string, name: string): string | undefined {
  const from = environ.startsWith(`${name}=`) ? 0 : environ.indexOf(`\0${name}=`) + 1;
  if (from === 0 && !environ.startsWith(`${name}=`)) return undefined;
  const end = environ.indexOf('\0', from);
  return environ.slice(from + name.length + 1, end < 0 ? undefined : end);
}

/**
 * Identifies an agent's process, so that others can check whether it lives: its pid, its start (pids are
 * reused, the pair is not), and the namespaces in which both are valid.
 */
export const processIdentity = (pid: number): string => `${pid}/${startOf(pid) ?? ''}/${namespaces()}`;

/** false: it has ended; undefined: unknown from here. */
export function isAlive(identity: string): boolean | undefined {
  const [pid, start, namespace] = identity.split('/');
  if (!pid || !start || !namespace || namespace !== namespaces()) return undefined;
  return startOf(Number(pid)) === start;
}

/** Pids belong to a PID namespace, and start times to a time namespace; '' when unknown. */
function namespaces(): string {
  try {
    return ['pid', 'time']
      .map((kind) => readlinkSync(`/proc/self/ns/${kind}`).replaceAll(/\D/g, ''))
      .join('.');
  } catch {
    return '';
  }
}
