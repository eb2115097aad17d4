import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { afterEach, describe, expect, it } from 'vitest';
import { clearLeftovers } from '../../../src/node-agent/leftovers/leftovers.ts';
import { findProcesses } from '../../../src/node-agent/leftovers/marks.ts';
import { findMarker, markIn, ownerLives, ownerMark } from '../../../src/os/processes/owner-mark.ts';
import { exists, until } from '../../support/bus.ts';
import { endIfThere } from '../../support/signal.ts';

const pids: number[] = [];
afterEach(() => {
  for (const pid of pids.splice(0)) endIfThere(pid);
});

const limitsOf = (pid: number): string => readFileSync(`/proc/${pid}/limits`, 'latin1');
const own = (): bigint => ownerMark(process.pid, 'agent') ?? 0n;

/** A command with a mark, in its own session. */
async function start(hard: bigint, number: number, argv: readonly string[]): Promise<number> {
  const marker = findMarker(hard);
  if (!marker) throw new Error('no mark can be set');
  const [command = '', ...args] = marker(hard, number, argv);
  const child = spawn(command, args, { detached: true, stdio: 'ignore' });
  await once(child, 'spawn');
  const pid = child.pid ?? 0;
  pids.push(pid);
  await until('the mark', () => markIn(limitsOf(pid))?.hard === hard);
  return pid;
}

describe('the mark of an owner', () => {
  it('names the owner’s pid and kind, whether it lives, and the number of the process', async () => {
    const pid = await start(own(), 7, ['sleep', '1000']);
    const mark = markIn(limitsOf(pid));
    expect(mark).toMatchObject({ kind: 'agent', pid: process.pid, number: 7 });
    expect(mark && ownerLives(mark)).toBe(true);
    expect(mark && ownerLives({ ...mark, start: mark.start - 1n })).toBe(false);
    expect(markIn(limitsOf(process.pid))?.hard).not.toBe(own());
    expect(ownerMark(process.pid, 'coordinator')).toBe(own() + 1n);
  });

  it('is lower for an owner that began later, so an owner inside of another owner’s tree can set its own', async () => {
    const later = await start(own(), 1, ['sleep', '1000']);
    expect(ownerMark(later, 'coordinator')).toBeLessThan(own());
  });

  it('is found on a process that clears its environment, sets its title, forks twice and starts a session', async () => {
    const child = await start(own(), 3, [
      ...['bash', '-c'],
      `(setsid env -i sleep 1000 &)
       (setsid perl -e '$0 = "x" x 5000; fork; $0 = "y" x 5000; sleep 1000' &)
       exec sleep 1000`,
    ]);
    const other = await start(own(), 4, ['sleep', '1000']);
    const found = async () => findProcesses({ entry: 'NONE=1', hard: own(), number: 3 });
    await until('all of them', async () => (await found()).length === 4);
    pids.push(...(await found()));
    expect(await found()).toContain(child);
    expect(await found()).not.toContain(other);
  });
});

it('an agent ends the processes of an agent that has ended, and none of an agent that lives', async () => {
  const owner = spawn('sleep', ['1000'], { stdio: 'ignore' });
  await once(owner, 'spawn');
  const theirs = ownerMark(owner.pid ?? 0, 'agent') ?? 0n;
  const coordinators = ownerMark(owner.pid ?? 0, 'coordinator') ?? 0n;
  const left = await start(theirs, 1, ['env', '-i', 'sleep', '1000']);
  const server = await start(coordinators, 1, ['env', '-i', 'sleep', '1000']);
  const mine = await start(own(), 1, ['env', '-i', 'sleep', '1000']);
  expect((await clearLeftovers({ jobId: 'none', node: 'none' })).map(({ pid }) => pid)).not.toContain(left);
  owner.kill('SIGKILL');
  await once(owner, 'exit');
  const cleared = await clearLeftovers({ jobId: 'none', node: 'none' });
  expect(cleared.map(({ pid }) => pid)).toContain(left);
  await until('it to be ended', () => !exists(left));
  expect([mine, server].every(exists)).toBe(true);
});
