import { lstatSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import * as z from 'zod';
import { removeOwnDirectory } from '../../os/files/own-directory.ts';
import { writePrivateFile } from '../../os/files/private-files.ts';
import { endMarkedSync, standInForGuard } from '../../os/processes/guard.ts';
import { ownUid } from '../../os/processes/own-user.ts';
import { COORDINATORS_NUMBERS, limitsPattern } from '../../os/processes/owner-mark.ts';
import { adopt, type ProcessName, processName } from '../../os/processes/process-handle.ts';
import { RESTART_PATIENCE_S } from './coordinator-guard.ts';
import { epochFile } from './epoch-lock.ts';
import { handoverFile, handoverSchema } from './handover-file.ts';

/** Longer than a coordinator may take to be started again. */
const DEAD_FOR_MS = (RESTART_PATIENCE_S + 5) * 1_000;
/** The file in a job's node-local directory that names the coordinator's process. */
const ownerFile = (home: string): string => join(home, 'coordinator.json');
const ownerSchema = z.object({ pid: z.number(), startedAt: z.string() });

/** The common beginning of the node-local directories of this user's jobs. */
export const homePrefix = (): string => `srtctl-${ownUid()}-`;

/** Writes down which process this directory belongs to. */
export const ownHome = (home: string): Promise<void> =>
  writePrivateFile(ownerFile(home), JSON.stringify(processName(process.pid)));

/**
 * Cleans up after this user's jobs on this machine whose coordinator and guard were killed at the same time, and which no
 * coordinator has taken over: ends nats-server and the local agents (whose guards end the rest), and removes the
 * directories with the keys. Returns the directories.
 */
export function clearDeadJobs(guardScript: string, directory = tmpdir(), now = Date.now()): string[] {
  const names = readdirSync(directory).filter((name) => name.startsWith(homePrefix()));
  const dead = names.map((name) => join(directory, name)).filter((home) => isDead(home, now));
  for (const home of dead) {
    const { processes, mark } = leftIn(home);
    for (const name of processes) adopt(name)?.kill('SIGKILL');
    if (mark !== undefined) endMarkedSync(guardScript, limitsPattern(BigInt(mark), COORDINATORS_NUMBERS));
    removeHome(home, guardScript);
  }
  return dead;
}

/**
 * Removes a job's directory, and the directories that agents left beside it on this machine. All agents have ended, but
 * not all of them in good order.
 */
export function removeHome(home: string, guardScript: string): void {
  const directory = dirname(home);
  const name = basename(home);
  for (const each of readdirSync(directory).filter((other) => other.startsWith(`${name}-stop-`)))
    standInForGuard(guardScript, join(directory, each));
  for (const path of [`${home}-node`, home]) removeOwnDirectory(path);
}

function isDead(home: string, now: number): boolean {
  try {
    const { uid, mode } = lstatSync(home);
    if (uid !== process.getuid?.() || (mode & 0o077) !== 0) return false;
    if (now - lstatSync(epochFile(home)).mtimeMs < DEAD_FOR_MS) return false;
    return adopt(ownerSchema.parse(JSON.parse(readFileSync(ownerFile(home), 'utf8')))) === undefined;
  } catch {
    // The directory is not a coordinator's, or is not complete yet.
    return false;
  }
}

/** Processes that a dead coordinator had started on this machine, and its mark. The leases of agents under srun have expired. */
function leftIn(home: string): { processes: ProcessName[]; mark?: string | undefined } {
  try {
    const text = readFileSync(handoverFile(home), 'utf8');
    const { nats, launched, mark } = handoverSchema.parse(JSON.parse(text));
    return { processes: [nats, ...launched], mark };
  } catch {
    return { processes: [] };
  }
}
