import { execa } from 'execa';
import { SrtctlError } from '../../os/errors.ts';

const TIMEOUT_MS = 30_000;

export interface Answer {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** The command hung and was ended, so its outcome is unknown. */
  readonly timedOut: boolean;
}

export type SlurmCommand = 'sbatch' | 'squeue' | 'sacct' | 'scancel' | 'scontrol' | 'sinfo' | 'srun';

/** Runs a Slurm command with English messages. A failed command is returned as an answer; a missing one is an error. */
export async function slurm(
  command: SlurmCommand,
  args: readonly string[],
  options: { readonly input?: string; readonly timeoutMs?: number } = {},
): Promise<Answer> {
  const result = await execa(command, [...args], {
    reject: false,
    timeout: options.timeoutMs ?? TIMEOUT_MS,
    env: { LC_ALL: 'C' },
    ...(options.input === undefined ? { stdin: 'ignore' as const } : { input: options.input }),
  });
  if ('code' in result && result.code === 'ENOENT')
    throw new SrtctlError('no-slurm', `${command} is not here: this is no machine of a Slurm cluster`, {
      hint: 'run srtctl on a login node, or add --local to run on this machine',
    });
  const { exitCode, stdout, stderr, timedOut } = result;
  return { exitCode, stdout, stderr, timedOut };
}
