import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';

/** The program that runs a command in a network of its own: `sh ALONE COMMAND`. */
export const ALONE = resolve(import.meta.dirname, 'alone.sh');

/**
 * Words in front of a command that give it its own network; none where the kernel or the user's rights forbid
 * it.
 */
export const inOwnNetwork: readonly string[] =
  spawnSync('sh', [ALONE, 'true']).status === 0 ? ['sh', ALONE] : [];
