import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { silenceOf } from '../../../src/cli/jobs/coordinator-silence.ts';
import { jobStatus } from '../../../src/cli/jobs/job-status.ts';
import { aliveFile } from '../../../src/coordinator/record/alive-file.ts';
import { writeJob } from '../job.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** A job on Slurm whose coordinator has written its sign of life `agoS` seconds ago. */
async function silentFor(agoS: number) {
  const state = { sweep: 'running', exitCode: null, home: { host: 'node7', directory: '/tmp' } } as const;
  const job = await writeJob(root, '17', { spec: { mode: 'slurm' }, state });
  const path = aliveFile(job.jobDir);
  await writeFile(path, '1.8\n');
  const at = new Date(Date.now() - agoS * 1_000);
  await utimes(path, at, at);
  return { job, path };
}

describe('the coordinator of a job on Slurm', () => {
  it('is named with its node after 30 s without a sign of life', async () => {
    const { job } = await silentFor(45);
    expect(await silenceOf(job, 0)).toMatchObject({
      summary: 'the coordinator on the head node node7 has given no sign of life for 45 s',
      node: 'node7',
      advice: expect.stringContaining('srtctl cancel 17'),
    });
  });

  it('is not silent while its file is young, or does not exist', async () => {
    const { job, path } = await silentFor(20);
    expect(await silenceOf(job, 0)).toBeNull();
    await rm(path);
    expect(await silenceOf(job, 0)).toBeNull();
  });

  it('is not silent when its file changes, however old the file is by the clock of this machine', async () => {
    const { job, path } = await silentFor(3_600);
    const asking = silenceOf(job, 300);
    const writing = setInterval(() => void writeFile(path, `1.${Date.now()}\n`), 10);
    expect(await asking).toBeNull();
    clearInterval(writing);
  });

  it('makes the state of the job `silent`, with the silence as its cause', async () => {
    const { job } = await silentFor(45);
    const status = await jobStatus(job, { live: false });
    expect(status).toMatchObject({ state: 'silent', cause: { node: 'node7' } });
  });
});
