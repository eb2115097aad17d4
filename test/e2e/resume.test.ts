import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { useJobs } from '../support/jobs.ts';
import { endIfThere } from '../support/signal.ts';
import { writeSweep } from './sweep-recipe.ts';

const jobs = useJobs({ SRTCTL_SIM_SPEED: '20' });

/** The content of each result.json, by the name of its point. */
async function resultFiles(jobDir: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const name of (await readdir(join(jobDir, 'points'))).sort()) {
    const text = await readFile(join(jobDir, 'points', name, 'result.json'), 'utf8').catch(() => undefined);
    if (text !== undefined) files.set(name, text);
  }
  return files;
}

it('a sweep whose coordinator and processes were all killed continues with its remaining points', async () => {
  const recipe = await writeSweep(jobs.dir, {
    sweep: 'fraction: [0.7, 0.8, 0.9]\nc: [1, 2, 3, 4]',
    prefill: 'mem-fraction-static: "{fraction}"',
    decode: 'mem-fraction-static: "{fraction}"',
    concurrencies: '{c}',
    requests: 40,
  });
  const apply = ['apply', '-f', recipe, '--local', '--mock'];
  const first = await jobs.start(apply);
  // A running job cannot be resumed.
  await first.pointReached('benchmarking');
  const running = jobs.run(first.outputs, ['resume', 'latest']);
  expect([running.status, running.stderr]).toEqual([2, expect.stringContaining('has not ended')]);
  await first.pointReached('benchmarking', 4);
  // Kills the process that would restart the coordinator, then the coordinator, then all that it and its
  // agents have started.
  first.child.kill('SIGKILL');
  process.kill((await first.state()).coordinatorPid, 'SIGKILL');
  for (const line of await first.leftovers()) {
    const pid = Number(/^process (\d+)/.exec(line)?.[1]);
    if (pid > 0 && pid !== first.child.pid) endIfThere(pid);
  }
  expect(await first.ended()).not.toBe(0);
  const before = await resultFiles(await first.jobDir());
  // The points before the fifth, and any that were done by the time of the kill.
  expect(before.size).toBeGreaterThanOrEqual(4);
  expect([...before.keys()].map((name) => Number(name.slice(0, 2)))).toEqual([...Array(before.size).keys()]);
  const left = 12 - before.size;
  expect(left).toBeGreaterThan(0);

  const second = await jobs.start(['resume', 'latest'], { outputs: first.outputs });
  expect(await second.ended(), second.said).toBe(0);
  const after = await resultFiles(await second.jobDir());
  expect(after.size).toBe(12);
  for (const [name, text] of before) expect(after.get(name)).toBe(text);
  const ran = (await second.transitions('benchmark')).filter(({ to }) => to === 'ready');
  expect(ran).toHaveLength(left);
  expect(await second.statuses()).toEqual(Array(12).fill('done'));
  const lines = (await readFile(join(await second.jobDir(), 'results.jsonl'), 'utf8')).trim().split('\n');
  expect(lines.map((line) => JSON.parse(line).ordinal)).toEqual(Array.from({ length: 12 }, (_, at) => at));
  expect(second.stdout).toContain(`${before.size} points have a result`);

  // No point is left to run, and all three commands say so.
  const known = await readdir(first.outputs);
  const ways = [apply, ['resume', 'latest'], [...apply, '--resume', 'latest']];
  for (const way of ways) {
    const { status, stdout, stderr } = jobs.run(first.outputs, way);
    expect([status, stdout], stderr).toEqual([0, expect.stringContaining('already has a valid result')]);
  }
  const changed = join(jobs.dir, 'changed.yaml');
  await writeFile(changed, (await readFile(recipe, 'utf8')).replace('isl: 64', 'isl: 128'));
  const refused = jobs.run(first.outputs, [
    'apply',
    '-f',
    changed,
    '--local',
    '--mock',
    '--resume',
    'latest',
  ]);
  expect([refused.status, refused.stderr]).toEqual([2, expect.stringContaining('benchmark.isl: 64 → 128')]);
  expect(await readdir(first.outputs)).toEqual(known);
}, 180_000);

it('a recipe with results runs again with --again, and without it only its new points run', async () => {
  const recipe = (c: string) => writeSweep(jobs.dir, { sweep: `c: [${c}]`, concurrencies: '{c}' });
  const apply = ['apply', '-f', await recipe('1'), '--local', '--mock'];
  const first = await jobs.start(apply);
  expect(await first.ended(), first.stderr).toBe(0);
  const again = await jobs.start([...apply, '--again'], { outputs: first.outputs });
  expect(await again.ended(), again.stderr).toBe(0);
  expect((await again.transitions('benchmark')).filter(({ to }) => to === 'ready')).toHaveLength(1);
  // A missing result file counts, whatever state.json says.
  for (const job of [first, again])
    for (const name of (await resultFiles(await job.jobDir())).keys())
      await rm(join(await job.jobDir(), 'points', name, 'result.json'));
  const anew = await jobs.start(apply, { outputs: first.outputs });
  expect(await anew.ended(), anew.said).toBe(0);
  expect(anew.stderr).toContain('lacks results, so the job does not count');
  expect(await anew.results()).toHaveLength(1);
  await recipe('1, 2');
  const more = await jobs.start([...apply, '--resume', 'latest'], { outputs: first.outputs });
  expect(await more.ended(), more.said).toBe(0);
  expect((await more.transitions('benchmark')).filter(({ to }) => to === 'ready')).toHaveLength(1);
  expect(await more.results()).toHaveLength(2);
}, 120_000);
