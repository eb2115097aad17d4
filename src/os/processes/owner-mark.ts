import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { SHELL_START, startOf, statOf } from './proc-stat.ts';

/**
 * A mark that a process cannot lose: its limit of file locks (RLIMIT_LOCKS), which Linux has not enforced since
 * 2.4.25 (getrlimit(2)). Every child inherits it, whatever the child does to its title, environment, session or
 * descriptors. It can be read for every process, and only CAP_SYS_RESOURCE can raise a hard limit again.
 *
 * The hard limit names the owner, so that any process can check later whether the owner is alive:
 *
 *     8 bits magic | 32 bits (2^32 - 1 - start ticks of the owner) | 22 bits pid of the owner | 1 bit kind
 *
 * The start is inverted because an owner inside another owner's tree started later: its limit is lower, and a
 * limit can always be lowered. The soft limit is the hard one less the number of the process (1 and up).
 */
const MAGIC = 0x5fn;
const TICKS = 1n << 32n;
const PIDS = 1n << 22n;

/**
 * Started by an agent, or by a coordinator (nats-server and local agents), whose processes another
 * coordinator may take over.
 */
export type OwnerKind = 'agent' | 'coordinator';

export interface OwnerMark {
  /** The hard limit: the same for all processes of an owner. */
  readonly hard: bigint;
  readonly kind: OwnerKind;
  readonly pid: number;
  /** Clock ticks from boot to the start of the owner, modulo 2^32. */
  readonly start: bigint;
  /** Number of the process; 0 when the soft limit does not match. */
  readonly number: number;
}

/** Numbers in a coordinator's mark. */
export const COORDINATORS = { natsServer: 1, agent: 2, reporter: 3 };
export const COORDINATORS_NUMBERS: readonly number[] = Object.values(COORDINATORS);

/**
 * Environment variable of an agent and its keeper, `<job>/<node>`: identifies the agent that a mark names.
 */
export const OWNER_VARIABLE = 'SRTCTL_OWNER';

/** Number of values that a soft limit can hold below the hard one. */
const MOST = 1n << 53n;

/** The hard limit of processes that `pid` owns; undefined when that process has ended. */
export function ownerMark(pid: number, kind: OwnerKind): bigint | undefined {
  const start = startOf(pid);
  if (start === undefined) return undefined;
  const inverted = TICKS - 1n - (BigInt(start) % TICKS);
  return (((MAGIC * TICKS + inverted) * PIDS + BigInt(pid)) << 1n) | (kind === 'agent' ? 0n : 1n);
}

/** Exactly two columns of numbers, because an unlimited process has no mark. */
const LIMIT = /^Max file locks +(\d+) +(\d+) /m;

/** The mark in the text of /proc/PID/limits; undefined for a process without one. */
export function markIn(limits: string): OwnerMark | undefined {
  const [, soft, text] = LIMIT.exec(limits) ?? [];
  if (soft === undefined || text === undefined) return undefined;
  const hard = BigInt(text);
  const kind = (hard & 1n) === 0n ? 'agent' : 'coordinator';
  const rest = hard >> 1n;
  const inverted = rest / PIDS;
  if (inverted / TICKS !== MAGIC) return undefined;
  const number = hard - BigInt(soft);
  return {
    hard,
    kind,
    pid: Number(rest % PIDS),
    start: TICKS - 1n - (inverted % TICKS),
    number: number > 0n && number < MOST ? Number(number) : 0,
  };
}

/** false: the owner has ended; undefined: unknown, because /proc hides the processes of other users. */
export function ownerLives({ pid, start }: Pick<OwnerMark, 'pid' | 'start'>): boolean | undefined {
  const found = startOf(pid);
  if (found !== undefined) return BigInt(found) % TICKS === start;
  try {
    process.kill(pid, 0);
    // A zombie has ended. Of a hidden process only the pid is known.
    return statOf(pid) === undefined ? undefined : false;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM' ? undefined : false;
  }
}

/** Adds a mark to a command: returns its words after those that set the limit. */
export type Marker = (hard: bigint, number: number, argv: readonly string[]) => string[];

/** Replaces prlimit(1): bash calls the limit -x, dash and busybox call it -w. */
const SHELL = `{ ulimit -S -x "$1" && ulimit -H -x "$2" || ulimit -S -w "$1" && ulimit -H -w "$2"; } 2>/dev/null
shift 2
exec "$@"`;

const byPrlimit =
  (prlimit: string): Marker =>
  (hard, number, argv) => [...[prlimit, `--locks=${hard - BigInt(number)}:${hard}`], ...argv];
/** Used only without prlimit(1), because it loses variables whose names are not shell words, and adds PWD. */
const byShell: Marker = (hard, number, argv) => [
  ...['/bin/sh', '-c', SHELL, 'srtctl-mark', `${hard - BigInt(number)}`, `${hard}`],
  ...argv,
];

/**
 * The way to set marks on this machine, after a trial; undefined where there is none: no prlimit(1) and no
 * shell that can set the limit, or this process has a mark itself of an owner that started later.
 */
export function findMarker(hard: bigint, env: NodeJS.ProcessEnv = process.env): Marker | undefined {
  // By its path, because the command's own PATH may not contain it.
  const prlimit = (env.PATH ?? '/usr/bin:/bin')
    .split(delimiter)
    .map((directory) => join(directory, 'prlimit'))
    .find((path) => existsSync(path));
  const markers = prlimit === undefined ? [byShell] : [byPrlimit(prlimit), byShell];
  return markers.find((marker) => {
    const [command = '', ...args] = marker(hard, 1, ['cat', '/proc/self/limits']);
    const { status, stdout } = spawnSync(command, args, { env, encoding: 'latin1', timeout: 10_000 });
    return status === 0 && markIn(stdout)?.hard === hard;
  });
}

/**
 * An expression of grep -E for /proc/PID/limits of processes that an owner started. A process with the hard
 * limit of a coordinator and no number is an agent's guard, which ends by itself.
 */
export const limitsPattern = (hard: bigint, numbers?: readonly number[]): string =>
  numbers === undefined
    ? `[0-9]+ +${hard}`
    : `(${numbers.map((number) => hard - BigInt(number)).join('|')}) +${hard}`;

/**
 * The hard limit of processes that an agent owns, with pid $pid and start $start, in a shell's arithmetic.
 */
export const SHELL_MARK = `$((((${MAGIC} * ${TICKS} + ${TICKS - 1n} - start % ${TICKS}) * ${PIDS} + pid) * 2))`;

/**
 * A command that marks itself before it runs, for processes that no agent starts, such as the tasks of an
 * srun. The owner is the parent, slurmstepd, which lives as long as the step. The agent is usually on another
 * node, where its life could not be checked.
 */
const SELF_MARK = `pid=$PPID
${SHELL_START}
if [ -n "$start" ] && [ "$pid" -gt 1 ]; then
  hard=${SHELL_MARK} soft=$((hard - 1))
  { ulimit -S -x "$soft" && ulimit -H -x "$hard" || ulimit -S -w "$soft" && ulimit -H -w "$hard"; } 2>/dev/null
fi
exec "$@"`;

export const markedByItself = (argv: readonly string[]): string[] => [
  ...['/bin/sh', '-c', SELF_MARK, 'srtctl-rank'],
  ...argv,
];
