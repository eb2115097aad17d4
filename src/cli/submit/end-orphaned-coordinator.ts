import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { homePrefix } from '../../coordinator/takeover/dead-jobs.ts';
import { epochFile, overFile } from '../../coordinator/takeover/epoch-lock.ts';
import { toToken } from '../../messages/events/subjects.ts';

/** Longer than guards take to kill what is there. */
const MOST_MS = 15_000;
const LOOK_EVERY_MS = 50;

/**
 * After the end of a local job: a coordinator that ended out of order has left its guard waiting for a successor. There
 * will be none: the guard is told so, and has done its work when this resolves.
 */
export async function endLeftHome(jobId: string): Promise<void> {
  const prefix = `${homePrefix()}${toToken(jobId)}-`;
  const homes = readdirSync(tmpdir())
    .filter((name) => name.startsWith(prefix))
    .map((name) => join(tmpdir(), name))
    .filter((home) => existsSync(epochFile(home)));
  for (const home of homes) {
    try {
      writeFileSync(overFile(home), '', { flag: 'wx', mode: 0o600 });
    } catch {
      // It is being removed, or was told before.
    }
  }
  const until = performance.now() + MOST_MS;
  while (homes.some((home) => existsSync(home)) && performance.now() < until) await sleep(LOOK_EVERY_MS);
}
