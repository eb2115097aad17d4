import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chown, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { oldJobs, removeJob } from '../../../src/cli/jobs/old-jobs.ts';
import { bytesOf, sizeText } from '../../../src/cli/terminal/sizes.ts';
import { writeJob } from '../job.ts';

let root: string;
let elsewhere: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
  elsewhere = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterEach(() => Promise.all([root, elsewhere].map((each) => rm(each, { recursive: true, force: true }))));

const NOW = Date.parse('2026-03-01T00:00:00Z');
const DAY = 86_400_000;
const idsOf = async (filter: Partial<Parameters<typeof oldJobs>[1]>) => {
  const { old, kept } = await oldJobs(root, { keep: 0, ...filter }, NOW);
  return { old: old.map(({ job }) => job.jobId).sort(), kept: kept.map(({ why }) => why) };
};
const endedAt = (at: string) => ({ state: { updatedAt: at } });

describe('old jobs', () => {
  it('are chosen by age, size, tag, and how many shall stay', async () => {
    await writeJob(root, 'january', { ...endedAt('2026-01-10T00:00:00Z'), spec: { tags: ['scratch'] } });
    const february = await writeJob(root, 'february', endedAt('2026-02-20T00:00:00Z'));
    await writeFile(join(february.jobDir, 'logs/large'), 'x'.repeat(1_000_000));
    expect(await idsOf({ endedBefore: NOW - 30 * DAY })).toEqual({ old: ['january'], kept: [] });
    expect(await idsOf({ leastBytes: 900_000 })).toEqual({ old: ['february'], kept: [] });
    expect(await idsOf({ tag: 'scratch' })).toEqual({ old: ['january'], kept: [] });
    expect(await idsOf({ tag: 'scratch', leastBytes: 900_000 })).toEqual({ old: [], kept: [] });
    expect((await idsOf({ leastBytes: 0, keep: 1 })).old).toHaveLength(1);
  });

  it('are none that run, ended just now, are on another machine, or are no directories of jobs', async () => {
    const home = { host: 'elsewhere', directory: '/nowhere' };
    await writeJob(root, 'far', { state: { sweep: 'running', exitCode: null, home } });
    const slurm = { mode: 'slurm', slurm: { jobId: '4711', own: true } } as const;
    await writeJob(root, 'queued', { spec: slurm, state: null });
    await writeJob(root, 'now', endedAt(new Date(NOW - 60_000).toISOString()));
    const linked = await writeJob(elsewhere, 'linked');
    await symlink(linked.jobDir, join(root, 'linked'));
    await writeJob(root, 'renamed', { spec: { jobId: 'another' } });
    await mkdir(join(root, 'models'));
    await writeFile(join(root, 'models/weights'), 'x');
    const { old, kept } = await idsOf({ leastBytes: 0 });
    expect(old).toEqual([]);
    expect(kept.sort()).toEqual([
      'it ended less than 10 minutes ago',
      ...Array<string>(2).fill('it runs, or it is not known to have ended'),
      'its directory has another name than the job',
      'its directory is a symbolic link',
    ]);
  });

  it('are none of other users', async (test) => {
    if (process.getuid?.() !== 0) test.skip();
    const { jobDir } = await writeJob(root, 'theirs');
    await chown(join(jobDir, 'theirs.json'), 12_345, 12_345);
    expect(await idsOf({ leastBytes: 0 })).toEqual({ old: [], kept: [] });
    await chown(join(jobDir, 'theirs.json'), 0, 0);
    await chown(jobDir, 12_345, 12_345);
    expect((await idsOf({ leastBytes: 0 })).kept).toEqual(['its directory belongs to another user']);
  });

  it('are removed with their links, and not with what the links lead to', async () => {
    const { jobDir } = await writeJob(root, 'a');
    await writeFile(join(elsewhere, 'precious'), 'x');
    await symlink(elsewhere, join(jobDir, 'logs/link'));
    await symlink(join(elsewhere, 'precious'), join(jobDir, 'link'));
    const [old] = (await oldJobs(root, { keep: 0, leastBytes: 0 }, NOW)).old;
    if (!old) throw new Error('no old job');
    await removeJob(old, NOW);
    expect(existsSync(jobDir)).toBe(false);
    expect(existsSync(join(elsewhere, 'precious'))).toBe(true);
  });

  it('that run again stay', async () => {
    const job = await writeJob(root, 'a');
    const [old] = (await oldJobs(root, { keep: 0, leastBytes: 0 }, NOW)).old;
    if (!old) throw new Error('no old job');
    const home = { host: 'elsewhere', directory: '/nowhere' };
    await writeJob(root, 'a', { state: { sweep: 'running', exitCode: null, home } });
    await expect(removeJob(old, NOW)).rejects.toThrow('a stays: it runs');
    expect(existsSync(job.jobDir)).toBe(true);
  });
});

describe('srtctl clean', () => {
  const srtctl = (...args: string[]) =>
    new Promise<{ exitCode: number; stdout: string; stderr: string }>((settle) => {
      const env = { ...process.env, SRTCTL_OUTPUT: root, NO_COLOR: '1' };
      const child = execFile(
        process.execPath,
        [resolve('dist/srtctl.js'), 'clean', ...args],
        { env },
        (_, stdout, stderr) => settle({ exitCode: child.exitCode ?? -1, stdout, stderr }),
      );
    });

  it('needs a criterion, lists the jobs, and removes them only with a yes', async () => {
    const { jobDir } = await writeJob(root, 'a', { spec: { tags: ['scratch'] } });
    expect(await srtctl()).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('say which jobs') });
    const asked = await srtctl('--tag', 'scratch');
    expect(asked).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('say --yes') });
    expect(asked.stdout).toMatch(/a .* a test .* 2026-01-02 .* KiB .* scratch[\s\S]*1 job, /);
    expect((await srtctl('--tag', 'scratch', '--dry-run')).exitCode).toBe(0);
    expect(existsSync(jobDir)).toBe(true);
    const { exitCode, stdout } = await srtctl('--tag', 'scratch', '--yes', '--json');
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ jobId: 'a', jobDir, removed: true });
    expect(existsSync(jobDir)).toBe(false);
  });
});

it('sizes are read and written in units of 1,024', () => {
  expect(['10G', '1.5 KiB', '500MB', '4096', 'x', '1X'].map(bytesOf)).toEqual([
    ...[10_737_418_240, 1_536, 524_288_000, 4_096, undefined, undefined],
  ]);
  expect([14, 2_950, 5_368_709_120].map(sizeText)).toEqual(['14 B', '2.9 KiB', '5.0 GiB']);
});
