import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createJobKeys } from '../../../src/coordinator/bus-server/keys.ts';
import { clearDeadJobs, homePrefix, ownHome } from '../../../src/coordinator/takeover/dead-jobs.ts';
import { EpochLock, epochFile } from '../../../src/coordinator/takeover/epoch-lock.ts';
import { processName } from '../../../src/os/processes/process-handle.ts';
import { exists, until } from '../../support/bus.ts';

let dir: string;
let sleeping: number;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
  sleeping = spawn('sleep', ['1000'], { detached: true, stdio: 'ignore' }).pid ?? 0;
});
afterEach(async () => {
  if (exists(sleeping)) process.kill(sleeping, 'SIGKILL');
  await rm(dir, { recursive: true, force: true });
});

/** The directory of a job whose nats-server is `sleeping`. */
async function home(name: string, { dead = true, ageS = 60 } = {}): Promise<string> {
  const path = join(dir, `${homePrefix()}${name}`);
  await mkdir(path, { mode: 0o700 });
  new EpochLock(path, 1).claim();
  await ownHome(path);
  if (dead)
    await writeFile(
      join(path, 'coordinator.json'),
      JSON.stringify({ pid: process.pid, startedAt: 'before' }),
    );
  const nats = { ...processName(sleeping), port: 1 };
  const keys = createJobKeys(['node1']);
  const handover = {
    ...{ v: 1, jobId: name, nats, clockOffsetMs: 0, claim: null, addresses: {}, without: [], launched: [] },
    infraPorts: { nats: 1, etcdClient: 2, etcdPeer: 3 },
    keys: { ...keys, agents: [...keys.agents] },
  };
  await writeFile(join(path, 'lifeline.json'), JSON.stringify(handover), { mode: 0o600 });
  const at = new Date(Date.now() - ageS * 1_000);
  await utimes(epochFile(path), at, at);
  return path;
}

it('the processes and directories of a job whose coordinator and guard were killed together are removed', async () => {
  const path = await home('one');
  for (const beside of ['-stop-node1', '-node']) await mkdir(`${path}${beside}`);
  expect(clearDeadJobs('src/os/processes/guard.sh', dir)).toEqual([path]);
  await until('the end of its nats-server', () => !exists(sleeping));
  expect(await readdir(dir)).toEqual([]);
});

it('jobs that run, can still be taken over, or belong to no coordinator are left alone', async () => {
  const paths = [await home('alive', { dead: false }), await home('one', { ageS: 5 })];
  const other = join(dir, `${homePrefix()}other`);
  await mkdir(other);
  expect(clearDeadJobs('src/os/processes/guard.sh', dir)).toEqual([]);
  expect([...paths, other].every((path) => existsSync(path))).toBe(true);
  expect(exists(sleeping)).toBe(true);
});
