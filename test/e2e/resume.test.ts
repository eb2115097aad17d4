import { spawnSync } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { until } from '../support/bus.ts';
import { RunningJob, startJob } from '../support/job.ts';
import { writeSweep } from './sweep-recipe.ts';

let dir: string;
const jobs: RunningJob[] = [];
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));
afterEach(async () => {
  await Promise.all(jobs.splice(0).map((job) => job.destroy()));
});

const FAST = { SRTCTL_SIM_LOAD_MS: '100', SRTCTL_SIM_SPEED: '20' };

/** A further job in the outputs directory of another. */
class NextJob extends RunningJob {
  readonly #known: readonly string[];
  constructor(outputs: string, known: readonly string[], args: string[]) {
    super(outputs, args, FAST);
    this.#known = known;
  }
  override jobDir(): Promise<string> {
    return until('the directory of a further job', async () => {
      const name = (await readdir(this.outputs)).find((entry) => !this.#known.includes(entry));
      return name && join(this.outputs, name);
    });
  }
}

const srtctl = (outputs: string, args: string[]) =>
  spawnSync(process.execPath, ['dist/srtctl.js', ...args], {
    env: { ...process.env, ...FAST, SRTCTL_OUTPUT: outputs },
    encoding: 'utf8',
  });

/** The content of each result.json, by the name of its point. */
async function resultFiles(jobDir: string): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const name of (await readdir(join(jobDir, 'points'))).sort()) {
    const text = await readFile(join(jobDir, 'points', name, 'result.json'), 'utf8').catch(() => undefined);
    if (text !== undefined) files.set(name, text);
  }
  return files;
}

it('a sweep whose coordinator was killed with all it had started goes on where it was', async () => {
  const recipe = await writeSweep(dir, {
    sweep: 'fraction: [0.7, 0.8, 0.9]\nc: [1, 2, 3, 4]',
    prefill: 'mem-fraction-static: "{fraction}"',
    decode: 'mem-fraction-static: "{fraction}"',
    concurrencies: '{c}',
    requests: 40,
  });
  const apply = ['apply', '-f', recipe, '--local', '--mock'];
  const first = await startJob(apply, FAST);
  jobs.push(first);
  await until(
    'the fifth point',
    async () =>
      (await first.events()).some(
        (event) => event.kind === 'point.transition' && event.ordinal === 4 && event.to === 'benchmarking',
      ),
    60_000,
  );
  const running = srtctl(first.outputs, ['resume', 'latest']);
  expect([running.status, running.stderr]).toEqual([2, expect.stringContaining('has not ended')]);
  // Who would start it again, the coordinator, then all that it and its agents have started.
  first.child.kill('SIGKILL');
  process.kill((await first.state()).coordinatorPid, 'SIGKILL');
  for (const line of await first.leftovers()) {
    const pid = Number(/^process (\d+)/.exec(line)?.[1]);
    if (pid > 0 && pid !== first.child.pid)
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // Its guard was quicker.
      }
  }
  expect(await first.ended()).not.toBe(0);
  const before = await resultFiles(await first.jobDir());
  expect([...before.keys()].map((name) => name.slice(0, 2))).toEqual(['00', '01', '02', '03']);

  const second = new NextJob(first.outputs, await readdir(first.outputs), ['resume', 'latest']);
  jobs.push(second);
  expect(await second.ended(), second.stdout + second.stderr).toBe(0);
  const after = await resultFiles(await second.jobDir());
  expect(after.size).toBe(12);
  for (const [name, text] of before) expect(after.get(name)).toBe(text);
  const ran = (await second.transitions('benchmark')).filter(({ to }) => to === 'ready');
  expect(ran).toHaveLength(8);
  expect((await second.results()).map(({ status }) => status)).toEqual(Array(12).fill('done'));
  const lines = (await readFile(join(await second.jobDir(), 'results.jsonl'), 'utf8')).trim().split('\n');
  expect(lines.map((line) => JSON.parse(line).ordinal)).toEqual(Array.from({ length: 12 }, (_, at) => at));
  expect(second.stdout).toContain('4 points have a result');

  // Nothing is left to run, and all three ways to ask for it say so.
  const known = await readdir(first.outputs);
  const ways = [apply, ['resume', 'latest'], [...apply, '--resume', 'latest']];
  for (const way of ways) {
    const { status, stdout, stderr } = srtctl(first.outputs, way);
    expect([status, stdout], stderr).toEqual([0, expect.stringContaining('has a valid result already')]);
  }
  const changed = join(dir, 'changed.yaml');
  await writeFile(changed, (await readFile(recipe, 'utf8')).replace('isl: 64', 'isl: 128'));
  const refused = srtctl(first.outputs, ['apply', '-f', changed, '--local', '--mock', '--resume', 'latest']);
  expect([refused.status, refused.stderr]).toEqual([2, expect.stringContaining('benchmark.isl: 64 → 128')]);
  expect(await readdir(first.outputs)).toEqual(known);
}, 180_000);

it('a recipe with results is run again when --again says so, and points that are new are run alone', async () => {
  const recipe = (c: string) => writeSweep(dir, { sweep: `c: [${c}]`, concurrencies: '{c}' });
  const apply = ['apply', '-f', await recipe('1'), '--local', '--mock'];
  const first = await startJob(apply, FAST);
  jobs.push(first);
  expect(await first.ended(), first.stderr).toBe(0);
  const again = new NextJob(first.outputs, await readdir(first.outputs), [...apply, '--again']);
  jobs.push(again);
  expect(await again.ended(), again.stderr).toBe(0);
  expect((await again.transitions('benchmark')).filter(({ to }) => to === 'ready')).toHaveLength(1);
  await recipe('1, 2');
  const more = new NextJob(first.outputs, await readdir(first.outputs), [...apply, '--resume', 'latest']);
  jobs.push(more);
  expect(await more.ended(), more.stderr + more.stdout).toBe(0);
  expect((await more.transitions('benchmark')).filter(({ to }) => to === 'ready')).toHaveLength(1);
  expect(await more.results()).toHaveLength(2);
}, 120_000);
