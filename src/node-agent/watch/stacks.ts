import { writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { outputOf } from '../../os/processes/output-of.ts';
import { findProcesses, type Sought } from '../leftovers/marks.ts';

const TIMEOUT_MS = 15_000;
/** An engine has a process for each GPU and a few more. */
const MOST = 32;

/**
 * Writes the stacks of all processes of one start into a file beside its log, with py-spy from the process's
 * PATH, if there is one. Resolves with the file when it is not empty.
 */
export async function stacksOf(
  sought: Sought,
  logFile: string,
  env: Record<string, string>,
): Promise<string | undefined> {
  const pids = await findProcesses(sought);
  const dumps = await Promise.all(
    pids.slice(0, MOST).map(async (pid) => {
      try {
        return await outputOf('py-spy', ['dump', '--pid', String(pid)], { env, timeoutMs: TIMEOUT_MS });
      } catch {
        // py-spy is missing, or the program is not Python, or ptrace is forbidden.
        return '';
      }
    }),
  );
  const text = dumps.filter((dump) => dump !== '').join('\n');
  if (text === '') return undefined;
  const file = join(dirname(logFile), `${basename(logFile, '.out')}_stacks.txt`);
  await writeFile(file, text);
  return file;
}
