import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { userName } from '../../os/processes/user-name.ts';
import { jobOf, slurmJobOf } from '../leftovers/kin.ts';
import type { TcpSocket } from './tcp-table.ts';

/** Processes to check in one go; the agent does its other work in between. */
const AT_ONCE = 50;
const MOST_OF_COMMAND = 120;

/**
 * The processes that have a socket, among those whose open files are readable: the user's own, for root all.
 * `first` is checked before the others, and the search ends when `enough` returns true.
 */
export async function holdersOf(
  inode: number,
  options: { readonly first?: number; readonly enough?: (pid: number) => boolean } = {},
): Promise<number[]> {
  const found: number[] = [];
  if (inode === 0) return found;
  const { first } = options;
  const others = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== first);
  let looked = 0;
  for (const pid of first === undefined ? others : [first, ...others]) {
    if (++looked % AT_ONCE === 0) await nextTurn();
    if (!hasSocket(pid, inode)) continue;
    found.push(pid);
    if (options.enough?.(pid)) break;
  }
  return found;
}

function hasSocket(pid: number, inode: number): boolean {
  const wanted = `socket:[${inode}]`;
  try {
    return readdirSync(`/proc/${pid}/fd`).some((fd) => {
      try {
        return readlinkSync(`/proc/${pid}/fd/${fd}`) === wanted;
      } catch {
        return false;
      }
    });
  } catch {
    return false;
  }
}

/** Whether this process may read the open files of another one. */
export function filesAreReadable(pid: number): boolean {
  try {
    readdirSync(`/proc/${pid}/fd`);
    return true;
  } catch {
    return false;
  }
}

/**
 * The holder of a socket, as the end of a sentence: `pid 4242 of user bob: python3 -m http.server 8000`, with
 * the job where it is known: `pid 4242 of user bob, job 17: python3 …`.
 */
export async function describeHolder(
  { uid }: Pick<TcpSocket, 'uid'>,
  pid: number | undefined,
): Promise<string> {
  const user = await userName(uid);
  if (pid !== undefined) {
    const slurmJob = slurmJobOf(pid);
    const job = jobOf(pid) ?? (slurmJob && `${slurmJob} of Slurm`);
    return `pid ${pid} of user ${user}${job === undefined ? '' : `, job ${printable(job)}`}: ${commandOf(pid)}`;
  }
  return `a process of user ${user}, whose pid and program cannot be seen from here`;
}

function printable(words: string): string {
  const text = words.replaceAll(/[^\x20-\x7e]+/g, ' ').trim();
  return text.length > MOST_OF_COMMAND ? `${text.slice(0, MOST_OF_COMMAND)}…` : text;
}

function commandOf(pid: number): string {
  try {
    // A program can change its command line, so it may contain anything.
    const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ');
    const text = printable(words);
    if (text !== '') return text;
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return 'a program that has ended meanwhile';
  }
}
