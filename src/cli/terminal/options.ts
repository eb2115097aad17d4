import type { Command } from 'commander';
import { SrtctlError } from '../../os/errors.ts';

/** What a command accepts as a job. */
export const JOB_WORDS = 'job id, the path of its directory, its name, one of its tags, or "latest"';

/** Options that several commands share. */
export const OUTPUT_OPTION = [
  '--output <dir>',
  'directory of the jobs (default: $SRTCTL_OUTPUT, output_dir of srtslurm.yaml, ./outputs)',
] as const;

export const SINCE_OPTION = [
  '--since <time>',
  'only what is later: so long ago (10m, 2h), a time of today (14:30), or a date (2026-01-31T14:30)',
] as const;

export const GREP_OPTIONS = {
  grep: ['--grep <expression>', 'only lines that match this regular expression'],
  ignoreCase: ['-i, --ignore-case', 'upper and lower case are the same to --grep'],
} as const;

/**
 * The number of an option.
 * @throws SrtctlError when the text is no whole number of at least 0
 */
export function wholeNumber(option: string, text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new SrtctlError('usage', `${option} ${text} is not a whole number`);
  return Number(text);
}

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
