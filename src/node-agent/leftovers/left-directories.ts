import { lstatSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toToken } from '../../messages/events/subjects.ts';
import { makePrivateDirectory } from '../../os/files/private-files.ts';
import { standInForGuard } from '../../os/processes/guard.ts';
import { isAlive, processIdentity } from './marks.ts';

const OWNER = '.agent-';

/**
 * Creates an agent's directory on its node, and records its owner in it; agents of several images may share
 * it.
 */
export function claimDirectory(path: string, node: string): void {
  makePrivateDirectory(path);
  writeFileSync(join(path, `${OWNER}${toToken(node)}`), processIdentity(process.pid), { mode: 0o600 });
}

/**
 * Removes the directories of agents that were killed together with their guards (for example when Slurm ends
 * a step), and ends processes outside of their process groups, as guards do. Returns the directories.
 */
export function clearDirectories(guardScript: string, beside = tmpdir()): string[] {
  const names = readdirSync(beside).filter((name) => name.startsWith('srtctl-'));
  const left = names.filter((name) => name.endsWith('-node') && isLeft(join(beside, name)));
  for (const name of left) {
    const stops = names.filter((each) => each.startsWith(`${name.slice(0, -'-node'.length)}-stop-`));
    for (const stop of stops.filter((each) => isOwn(join(beside, each))))
      standInForGuard(guardScript, join(beside, stop));
    rmSync(join(beside, name), { recursive: true, force: true });
  }
  return left.map((name) => join(beside, name));
}

/** Whether all of its agents have certainly ended. */
function isLeft(path: string): boolean {
  try {
    const owners = isOwn(path) ? readdirSync(path).filter((name) => name.startsWith(OWNER)) : [];
    return (
      owners.length > 0 && owners.every((name) => isAlive(readFileSync(join(path, name), 'utf8')) === false)
    );
  } catch {
    // Another process is removing it.
    return false;
  }
}

/** Also false when another agent of the node has removed it in the meantime. */
function isOwn(path: string): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found?.isDirectory() === true && found.uid === process.getuid?.();
}
