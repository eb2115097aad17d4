import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';

/** The program that runs a command in its own network: `sh ALONE COMMAND`. */
export const ALONE = resolve(import.meta.dirname, 'alone.sh');

/** Words in front of a command that give it its own network; none when the kernel or the user's rights forbid that. */
export const inOwnNetwork: readonly string[] =
  spawnSync('sh', [ALONE, 'true']).status === 0 ? ['sh', ALONE] : [];
