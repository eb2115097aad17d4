import { readFileSync } from 'node:fs';

/** Where a field of proc(5)'s /proc/PID/stat is among those that follow the program's name. */
export const STAT = { state: 0, parent: 1, group: 2, session: 3, userTicks: 11, start: 19 } as const;

/** The fields after the program's name, which is in parentheses and may hold anything. */
export const statFields = (line: string): string[] => line.slice(line.lastIndexOf(')') + 2).split(' ');

/** The same of process `pid`; undefined for one that is gone, or whose /proc entry is hidden. */
export function statOf(pid: number | string): string[] | undefined {
  try {
    return statFields(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return undefined;
  }
}

/** When a process began, in clock ticks from boot; undefined for one that is gone, or has ended and waits to be noticed. */
export function startOf(pid: number): string | undefined {
  const fields = statOf(pid);
  const state = fields?.[STAT.state];
  return state === 'Z' || state === 'X' ? undefined : fields?.[STAT.start];
}

/** The same in a shell, into $start: of the process $pid, and empty for one that is gone. */
export const SHELL_START = `start=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -d ' ' -f ${STAT.start + 1})`;
