import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { homePrefix } from '../../coordinator/takeover/dead-jobs.ts';
import { epochFile, overFile } from '../../coordinator/takeover/epoch-lock.ts';
import { toToken } from '../../messages/events/subjects.ts';

/** Longer than guards take to kill the remaining processes. */
const MOST_MS = 15_000;
const LOOK_EVERY_MS = 50;

/**
 * After the end of a local job: when the coordinator crashed, its guard waits for a successor. This tells the
 * guard that there will be none, and resolves when the guard has done its work.
 */
export async function endOrphanedCoordinator(jobId: string): Promise<void> {
  const prefix = `${homePrefix()}${toToken(jobId)}-`;
  const homes = readdirSync(tmpdir())
    .filter((name) => name.startsWith(prefix))
    .map((name) => join(tmpdir(), name))
    .filter((home) => existsSync(epochFile(home)));
  for (const home of homes) {
    try {
      writeFileSync(overFile(home), '', { flag: 'wx', mode: 0o600 });
    } catch {
      // Another process removes it, or has removed it.
    }
  }
  const until = performance.now() + MOST_MS;
  while (homes.some((home) => existsSync(home)) && performance.now() < until) await sleep(LOOK_EVERY_MS);
}
