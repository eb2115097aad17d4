import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { queryJob, queryJobs } from '../../../src/platform/slurm/queue.ts';
import { exitCodeInSlurm, hasEndedInSlurm } from '../../../src/platform/slurm/queue-entry.ts';

const bin = mkdtempSync(join(tmpdir(), 'srtctl-queue-'));
afterAll(() => rmSync(bin, { recursive: true, force: true }));
const { PATH } = process.env;

function standIn(name: string, script: string): void {
  writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(bin, name), 0o755);
}

describe('the state of a job in Slurm', () => {
  beforeEach(() => {
    vi.stubEnv('PATH', `${bin}${delimiter}${PATH}`);
    standIn('squeue', 'echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1');
    standIn('sacct', 'exit 1');
  });

  it('is that of squeue', async () => {
    standIn('squeue', 'echo "PENDING             |0|Resources  |n1|"');
    expect(await queryJob('7')).toMatchObject({ state: 'PENDING', reason: 'Resources' });
    expect(hasEndedInSlurm(await queryJob('7'))).toBe(false);
  });

  it.each([
    ['hangs', 'exec sleep 5'],
    ['says nothing', 'exit 0'],
    ['cannot reach slurmctld', 'echo "Unable to contact slurm controller (connect failure)" >&2; exit 1'],
  ])('is unknown when squeue %s, and the job does not count as gone', async (_what, script) => {
    standIn('squeue', script);
    expect(await queryJob('7', 300)).toBeUndefined();
    expect(hasEndedInSlurm(await queryJob('7', 300))).toBe(false);
  });

  it('is that of sacct for a job that squeue has forgotten', async () => {
    standIn('sacct', 'echo "CANCELLED by 0|0:15|n[1-2]"');
    const entry = await queryJob('7');
    expect(entry).toMatchObject({ state: 'CANCELLED', nodes: 'n[1-2]' });
    expect(entry && exitCodeInSlurm(entry)).toBe(143);
  });

  it('is that it is gone when Slurm does not know the job and has no accounting', async () => {
    const entry = await queryJob('7');
    expect(entry?.state).toBe('GONE');
    expect(hasEndedInSlurm(entry)).toBe(true);
  });

  it('of many jobs takes one request', async () => {
    standIn('squeue', `echo x >>${bin}/asked; printf '7|RUNNING |0|None|n1|\\n8|PENDING |0|Priority|||\\n'`);
    const found = await queryJobs(['7', '8', '9']);
    expect([...found].map(([id, { state }]) => [id, state])).toEqual([
      ['7', 'RUNNING'],
      ['8', 'PENDING'],
    ]);
  });
});
