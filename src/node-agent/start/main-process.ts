import { readFileSync } from 'node:fs';
import { STAT, statOf } from '../../os/processes/proc-stat.ts';

/** A shell that waits for one command is a wrapper; a signal to the shell would leave the command running. */
const SHELLS = new Set(['sh', 'bash', 'dash', 'ash', 'busybox', 'ksh', 'zsh']);
const DEEPEST = 8;

/**
 * The process of a group that ends the others on SIGTERM: its first one, or the command for which a shell in
 * that place waits. undefined when a shell waits for several commands, or for none, because the main process
 * is unknown then.
 */
export function mainProcess(group: number): number | undefined {
  let pid = group;
  for (let depth = 0; depth < DEEPEST; depth++) {
    if (!SHELLS.has(textOf(`/proc/${pid}/comm`).trim())) return pid;
    const children = textOf(`/proc/${pid}/task/${pid}/children`)
      .split(' ')
      .filter((each) => each !== '');
    const [only] = children;
    if (only === undefined || children.length > 1 || groupOf(only) !== group) return undefined;
    pid = Number(only);
  }
  return undefined;
}

function groupOf(pid: string): number | undefined {
  const group = statOf(pid)?.[STAT.group];
  return group === undefined ? undefined : Number(group);
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
