import { readFileSync } from 'node:fs';

/** The position of a field of proc(5)'s /proc/PID/stat among the fields after the program's name. */
export const STAT = { state: 0, parent: 1, group: 2, session: 3, userTicks: 11, start: 19 } as const;

/** The fields after the program's name, which is in parentheses and may contain any character. */
export const statFields = (line: string): string[] => line.slice(line.lastIndexOf(')') + 2).split(' ');

/** The same of process `pid`; undefined when the process is gone or its /proc entry is hidden. */
export function statOf(pid: number | string): string[] | undefined {
  try {
    return statFields(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return undefined;
  }
}

/** The start of a process, in clock ticks from boot; undefined when the process is gone or a zombie. */
export function startOf(pid: number): string | undefined {
  const fields = statOf(pid);
  const state = fields?.[STAT.state];
  return state === 'Z' || state === 'X' ? undefined : fields?.[STAT.start];
}

/** The same in a shell, into $start: for the process $pid, and empty when that is gone. */
export const SHELL_START = `start=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null | cut -d ' ' -f ${STAT.start + 1})`;
