import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, chown, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { coordinatorOf, findJob, isOver, listJobs, readEvents } from '../../../src/cli/jobs/job-dir.ts';
import { until } from '../../support/bus.ts';
import { writeJob } from '../job.ts';
import { wholeRun } from '../view/events.ts';

let root: string;
const children: ChildProcess[] = [];
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await rm(root, { recursive: true, force: true });
});

/** A process with the command line of the job's coordinator. */
async function fakeCoordinator(jobDir: string): Promise<ChildProcess> {
  const code = 'process.stdout.write("up"); setInterval(() => {}, 1000)';
  const args = ['-e', code, '/dist/coordinator.js', `${jobDir}/job.json`];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  children.push(child);
  if (child.stdout) await once(child.stdout, 'data');
  return child;
}

async function twoJobs(): Promise<void> {
  for (const [index, id] of ['local-20260101-aaaa', 'local-20260102-bbbb'].entries()) {
    const { jobDir } = await writeJob(root, id);
    await utimes(join(jobDir, `${id}.json`), index + 1, index + 1);
  }
}

describe('finding a job', () => {
  it('accepts its id, the path of its directory, or "latest"', async () => {
    await twoJobs();
    expect(await findJob('local-20260101-aaaa', root)).toMatchObject({ jobId: 'local-20260101-aaaa' });
    expect(await findJob(join(root, 'local-20260101-aaaa'), '/nowhere')).toMatchObject({
      jobId: 'local-20260101-aaaa',
    });
    expect(await findJob('latest', root)).toMatchObject({ jobId: 'local-20260102-bbbb' });
    expect(await listJobs(root)).toEqual(['local-20260102-bbbb', 'local-20260101-aaaa']);
  });

  it('accepts its name or one of its tags, and lists the candidates when several have it', async () => {
    await writeJob(root, 'one', { spec: { name: 'llama', tags: ['nightly', 'h100'] } });
    await writeJob(root, 'two', { spec: { name: 'qwen', tags: ['nightly'] } });
    expect(await findJob('llama', root)).toMatchObject({ jobId: 'one' });
    expect(await findJob('h100', root)).toMatchObject({ jobId: 'one' });
    await expect(findJob('nightly', root)).rejects.toMatchObject({
      code: 'job-ambiguous',
      exitCode: 2,
      message: '2 jobs have the name or tag nightly',
      hint: expect.stringMatching(/(one, two|two, one)$/),
    });
    // An id counts before a name.
    await writeJob(root, 'qwen', { spec: { name: 'other' } });
    expect(await findJob('qwen', root)).toMatchObject({ jobId: 'qwen', spec: { name: 'other' } });
  });

  it('uses a job of another user for "latest" only when asked for', async (test) => {
    if (process.getuid?.() !== 0) test.skip();
    await twoJobs();
    await chown(join(root, 'local-20260102-bbbb/local-20260102-bbbb.json'), 12_345, 12_345);
    expect(await findJob('latest', root)).toMatchObject({ jobId: 'local-20260101-aaaa' });
    expect(await findJob('local-20260102-bbbb', root)).toMatchObject({ jobId: 'local-20260102-bbbb' });
  });

  it('names the nearest and the newest job for an unknown name (exit code 2)', async () => {
    await twoJobs();
    await expect(findJob('local-20260101-aaab', root)).rejects.toMatchObject({
      code: 'job-not-found',
      exitCode: 2,
      hint: 'the nearest is local-20260101-aaaa, the newest local-20260102-bbbb',
    });
  });

  it('reports that there are no jobs, or no directory', async () => {
    const error = { code: 'job-not-found', hint: expect.stringContaining('has no jobs') };
    await expect(findJob('latest', root)).rejects.toMatchObject(error);
    await expect(findJob('latest', join(root, 'missing'))).rejects.toMatchObject(error);
  });

  it('names an invalid file', async () => {
    await mkdir(join(root, 'broken'));
    await writeFile(join(root, 'broken/broken.json'), '{"v":1,');
    await expect(findJob('broken', root)).rejects.toMatchObject({ code: 'job-unreadable', exitCode: 2 });
  });
});

describe('the events of a job', () => {
  it('are read up to the last complete line, and lines that are no event are skipped', async () => {
    const events = wholeRun();
    const job = await writeJob(root, 'a', { events });
    await appendFile(join(job.jobDir, 'events.jsonl'), '{"kind":"of another version"}\n{"kind":"process.tr');
    expect(await readEvents(job)).toEqual(events);
  });
});

describe('a local job', () => {
  it('is over when its state says that it has finished', async () => {
    expect(await isOver(await writeJob(root, 'a'))).toBe(true);
  });

  it('is not over while its coordinator runs, and over when the coordinator is killed', async () => {
    const { jobDir } = await writeJob(root, 'a');
    const child = await fakeCoordinator(jobDir);
    const running = await writeJob(root, 'a', {
      state: { sweep: 'running', coordinatorPid: child.pid ?? 0 },
    });
    expect(await coordinatorOf(running)).toBe(child.pid);
    expect(await isOver(running)).toBe(false);
    child.kill('SIGKILL');
    await until('the end of the job', () => isOver(running));
  });

  it('is found running before it has written its state, and by another path', async () => {
    const job = await writeJob(root, 'a', { state: null });
    const child = await fakeCoordinator(job.jobDir);
    expect(await coordinatorOf(job)).toBe(child.pid);
    await symlink(root, join(root, 'link'));
    expect(await coordinatorOf(await findJob('a', join(root, 'link')))).toBe(child.pid);
    expect(await isOver(job)).toBe(false);
  });

  it('is over when its pid is now that of another program, or of the coordinator of another job', async () => {
    const stranger = { sweep: 'running', coordinatorPid: process.pid } as const;
    expect(await isOver(await writeJob(root, 'a', { state: stranger }))).toBe(true);
    const child = await fakeCoordinator(join(root, 'ab'));
    const other = { sweep: 'running', coordinatorPid: child.pid ?? 0 } as const;
    expect(await isOver(await writeJob(root, 'a', { state: other }))).toBe(true);
  });

  it('that has never written a state is over unless it was just submitted', async () => {
    expect(await isOver(await writeJob(root, 'a', { state: null }))).toBe(true);
    // A moment in the future, so that it is recent on a busy machine too.
    const spec = { submittedAt: new Date(Date.now() + 60_000).toISOString() };
    expect(await isOver(await writeJob(root, 'b', { state: null, spec }))).toBe(false);
  });
});
