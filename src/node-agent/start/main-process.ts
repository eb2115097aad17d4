import { readFileSync } from 'node:fs';
import { STAT, statOf } from '../../os/processes/proc-stat.ts';

/** A shell that waits for one command is only around it; told to end it would leave the command behind. */
const SHELLS = new Set(['sh', 'bash', 'dash', 'ash', 'busybox', 'ksh', 'zsh']);
const DEEPEST = 8;

/**
 * The process of a group that ends the others when it is asked to: its first one, or what a shell in that place waits for.
 * undefined when a shell waits for several, or for nothing: nobody can say which of them it is.
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
