import { randomUUID } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SrtctlError } from '../../os/errors.ts';
import { makeDirectories, whyNotWritten } from '../../os/files/make-directories.ts';

const HINT = 'choose another directory with --output, SRTCTL_OUTPUT, or output_dir in srtslurm.yaml';

/**
 * Creates the parent of job directories and checks that it is writable, before anything is submitted or
 * started.
 * @throws SrtctlError with the problem
 */
export function makeOutputsDirectory(path: string): void {
  try {
    makeDirectories(path);
    const probe = join(path, `.srtctl-${randomUUID()}`);
    try {
      writeFileSync(probe, 'x'.repeat(4_096));
    } finally {
      rmSync(probe, { force: true });
    }
  } catch (error) {
    throw new SrtctlError('no-outputs', `cannot write outputs to ${path}: ${whyNotWritten(error)}`, {
      hint: HINT,
      cause: error,
    });
  }
}
