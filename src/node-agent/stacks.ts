import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const TIMEOUT_MS = 15_000;
/** An engine has a process for each GPU and a few more. */
const MOST = 32;

/**
 * What each of `pids` is doing, by py-spy where the process's PATH has one, into a file. Resolves with whether there
 * is anything in it.
 */
export async function collectStacks(
  pids: readonly number[],
  file: string,
  env: Record<string, string>,
): Promise<boolean> {
  const dumps = await Promise.all(
    pids.slice(0, MOST).map(async (pid) => {
      try {
        const { stdout } = await run('py-spy', ['dump', '--pid', String(pid)], { env, timeout: TIMEOUT_MS });
        return stdout;
      } catch {
        // No py-spy, or not a Python program, or not allowed to look (ptrace).
        return '';
      }
    }),
  );
  const text = dumps.filter((dump) => dump !== '').join('\n');
  if (text === '') return false;
  await writeFile(file, text);
  return true;
}
