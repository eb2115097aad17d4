import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { open, readdir } from 'node:fs/promises';

/** Files of /proc that are read at the same time, as many as Node has threads for it. */
const PARALLEL = 4;
/** More than most environments have. */
const PIECE = 64 * 1024;

/**
 * Processes are found by a mark in their environment: a child that made its own session (as engine schedulers
 * do) is in no process group of ours, but inherits it. Linux: /proc/<pid>/environ, NUL-separated, as of exec.
 */
const isPid = (name: string): boolean => /^[0-9]+$/.test(name);

const hasEntry = (environ: string, entry: string): boolean =>
  environ.startsWith(`${entry}\0`) || environ.includes(`\0${entry}\0`) || environ.endsWith(`\0${entry}`);

/** The environment of each process that may be read: not another user's, and not of one that has ended. */
export async function eachEnvironment(tell: (pid: number, environ: string) => void): Promise<void> {
  const pids = (await readdir('/proc')).filter(isPid);
  const reader = async (): Promise<void> => {
    const buffer = Buffer.allocUnsafeSlow(PIECE);
    for (let pid = pids.pop(); pid !== undefined; pid = pids.pop()) {
      const environ = await readInto(buffer, `/proc/${pid}/environ`).catch(() => '');
      if (environ !== '') tell(Number(pid), environ);
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, reader));
}

/**
 * A file's text, by way of a buffer that serves for many. readFile would take 64 KiB for each file that does not know
 * its size, and the memory of an agent that looks at thousands of processes again and again would grow.
 */
async function readInto(buffer: Buffer, path: string): Promise<string> {
  const file = await open(path, 'r');
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

/** Pids of the processes whose environment holds one of `entries` (NAME=value). */
export async function findMarked(entries: readonly string[]): Promise<Map<string, number[]>> {
  const found = new Map<string, number[]>(entries.map((entry) => [entry, []]));
  await eachEnvironment((pid, environ) => {
    for (const entry of entries) if (hasEntry(environ, entry)) found.get(entry)?.push(pid);
  });
  return found;
}

/** The same for one entry without waiting, for the last moments of a process. */
export function findMarkedSync(entry: string): number[] {
  return readdirSync('/proc')
    .filter(isPid)
    .filter((pid) => {
      try {
        return hasEntry(readFileSync(`/proc/${pid}/environ`, 'latin1'), entry);
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** The value of a variable in an environment as /proc has it. */
export function valueIn(environ: string, name: string): string | undefined {
  const from = environ.startsWith(`${name}=`) ? 0 : environ.indexOf(`\0${name}=`) + 1;
  if (from === 0 && !environ.startsWith(`${name}=`)) return undefined;
  const end = environ.indexOf('\0', from);
  return environ.slice(from + name.length + 1, end < 0 ? undefined : end);
}

/**
 * Says which process an agent is, so that others can tell whether it still lives: its pid, when it began (a pid is
 * used again, the two together are not), and the namespaces in which that holds.
 */
export const identityOf = (pid: number): string => `${pid}/${startOf(pid) ?? ''}/${namespaces()}`;

/** false: it has ended; undefined: it cannot be told from here. */
export function isAlive(identity: string): boolean | undefined {
  const [pid, start, namespace] = identity.split('/');
  if (!pid || !start || !namespace || namespace !== namespaces()) return undefined;
  return startOf(Number(pid)) === start;
}

/** Clock ticks from the machine's start to the process's; undefined when it has ended (a zombie has, too). */
function startOf(pid: number): string | undefined {
  try {
    // The second field is the program's name in parentheses, which may hold anything.
    const [state, ...rest] = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1)?.split(' ') ?? [];
    return state === 'Z' || state === 'X' ? undefined : rest[18];
  } catch {
    return undefined;
  }
}

/** Pids are those of a PID namespace, and times since the start those of a time namespace; '' when it cannot be told. */
function namespaces(): string {
  try {
    return ['pid', 'time']
      .map((kind) => readlinkSync(`/proc/self/ns/${kind}`).replaceAll(/\D/g, ''))
      .join('.');
  } catch {
    return '';
  }
}
