import type { Command } from 'commander';

/** Options that several commands share. */
export const OUTPUT_OPTION = [
  '--output <dir>',
  'directory of the jobs (default: $SRTCTL_OUTPUT, output_dir of srtslurm.yaml, ./outputs)',
] as const;

export interface EditOptions {
  readonly set?: readonly string[];
  readonly unset?: readonly string[];
}

/** Adds --set and --unset. Both collect into one list, because their order matters. */
export function addEdits(command: Command): Command {
  const edits: string[] = [];
  const collect = (name: string) => (text: string) => {
    edits.push(`${name} ${text}`);
    return edits;
  };
  return command
    .option(
      '--set <path=value>',
      'set a key of every recipe and variant before it is checked (repeatable), such as health_check.max_attempts=720; the value is a YAML scalar or list',
      collect('--set'),
    )
    .option(
      '--unset <path>',
      'remove a key of every recipe and variant before it is checked (repeatable)',
      collect('--unset'),
    );
}

/** The edits in the order of the command line. */
export const editTexts = ({ set, unset }: EditOptions): readonly string[] => set ?? unset ?? [];
