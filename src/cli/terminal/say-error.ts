import type { SrtctlError } from '../../os/errors.ts';

/** The first problem and the number of others, in a line; all of them with `--all-errors`. */
export function sayError(error: SrtctlError): void {
  const isAll = process.argv.includes('--all-errors');
  for (const line of isAll ? error.lines() : [error.oneLine()]) process.stderr.write(`srtctl: ${line}\n`);
}

/** For programs: all problems, always. */
export const errorBody = (error: SrtctlError): { error: string; errors: string[] } => ({
  error: error.lines()[0] ?? error.oneLine(),
  errors: error.lines(),
});
