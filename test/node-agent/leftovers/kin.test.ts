import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { isOfJob } from '../../../src/node-agent/leftovers/kin.ts';

const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

/** Pid of a waiting program with only these variables. */
async function running(env: Record<string, string>): Promise<number> {
  const child = spawn('sleep', ['60'], { env: { PATH: process.env.PATH, ...env }, stdio: 'ignore' });
  children.push(child);
  await once(child, 'spawn');
  return child.pid ?? 0;
}

describe('a process', () => {
  it('belongs to the job whose mark it carries, and not to another one in the same allocation of Slurm', async () => {
    const pid = await running({ SRTCTL_JOB: '7', SLURM_JOB_ID: '7' });
    expect(isOfJob(pid, '7', '7')).toBe(true);
    expect(isOfJob(pid, '7-2', '7')).toBe(false);
  });

  it('without a mark of srtctl belongs to the job in whose allocation it runs', async () => {
    const pid = await running({ SLURM_JOB_ID: '7' });
    expect(isOfJob(pid, '7-2', '7')).toBe(true);
    expect(isOfJob(pid, '7', '8')).toBe(false);
    expect(isOfJob(pid, '7', undefined)).toBe(false);
  });
});
