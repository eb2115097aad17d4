import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { RunningJob } from '../support/job.ts';
import { useJobs } from '../support/jobs.ts';
import { writeRecipe } from './recipe.ts';

const jobs = useJobs({ SRTCTL_SIM_LOAD_MS: '0' });

async function recipeWith(name: string, setup: object, options: { requests?: number; more?: string } = {}) {
  const { requests = 4, more = '' } = options;
  const text = await readFile(await writeRecipe(jobs.dir, { frontend: 'sglang', requests }), 'utf8');
  const file = join(jobs.dir, `${name}.yaml`);
  await writeFile(file, `${text}host_setup: ${JSON.stringify(setup)}\n${more}`);
  return file;
}
/** A command that adds a line to a file of this test. */
const noting = (name: string, what: string): string =>
  `echo "${what} $SRTCTL_NODE" >> "${join(jobs.dir, name)}"`;
const noted = async (name: string): Promise<string[]> =>
  (await readFile(join(jobs.dir, name), 'utf8').catch(() => '')).split('\n').slice(0, -1).sort();

const ALL = ['node1', 'node2', 'node3'];
const HOST = ['--host-setup'];
const warnings = async (job: RunningJob): Promise<string[]> =>
  (await job.events()).flatMap((event) => (event.kind === 'job.warning' ? [event.text] : []));

describe('host_setup', { timeout: 120_000 }, () => {
  it('runs its commands once on each node before anything else, and its teardown after everything', async () => {
    const file = await recipeWith(
      'whole',
      {
        commands: ['GREETING=hello # of this shell', `[ "$GREETING" = hello ]; ${noting('whole', 'up')}`],
        teardown: [noting('whole', 'down')],
      },
      { more: 'sweep: {seed: [1, 2]}\nenvironment: {HOOK: "of {node}"}\n' },
    );
    const text = (await readFile(file, 'utf8')).replace('req_rate: inf', 'req_rate: inf\n  seed: "{seed}"');
    await writeFile(file, text);
    const job = await jobs.apply(file, { args: HOST });
    expect(await job.ended(), job.said).toBe(0);
    expect(await noted('whole')).toEqual([
      ...ALL.map((node) => `down ${node}`),
      ...ALL.map((node) => `up ${node}`),
    ]);
    const moves = (await job.events()).flatMap((event) =>
      event.kind === 'process.transition' ? [`${event.process} ${event.to}`] : [],
    );
    const places = (of: RegExp) => moves.flatMap((move, at) => (of.test(move) ? [at] : []));
    const rest = places(/^(?!host-)/);
    expect(Math.max(...places(/^host-setup-\d stopped/))).toBeLessThan(Math.min(...rest));
    expect(Math.min(...places(/^host-teardown-\d preparing|^host-teardown-\d starting/))).toBeGreaterThan(
      Math.max(...rest),
    );
    expect(await warnings(job)).toEqual([]);
  });

  it('fails the job before any engine, with node, command and last line, and its teardown runs', async () => {
    const file = await recipeWith('failing', {
      nodes: 'workers',
      commands: [
        'echo ready',
        '[ $SRTCTL_NODE != node2 ] || { echo no module; exit 7; }',
        noting('failing', 'late'),
      ],
      teardown: [noting('failing', 'down')],
    });
    const job = await jobs.apply(file, { args: HOST });
    expect(await job.ended()).toBe(1);
    expect(job.said).toContain(
      'host_setup failed on node2: ended with exit code 7, in "[ $SRTCTL_NODE != node2 ] || { echo no module; exit 7; }": no module',
    );
    expect(await job.transitions('prefill-0-0')).toEqual([]);
    expect(await noted('failing')).toEqual([
      ...ALL.map((node) => `down ${node}`),
      'late node1',
      'late node3',
    ]);
    expect((await job.state()).cause).toMatchObject({ node: 'node2', exitCode: 7 });
  });

  it('goes on with a warning where ignore_failure says so, and where the teardown fails', async () => {
    const file = await recipeWith('ignored', {
      ignore_failure: true,
      commands: ['[ $SRTCTL_NODE = node1 ]'],
      teardown: ['echo it is broken; false'],
    });
    const job = await jobs.apply(file, { args: HOST });
    expect(await job.ended(), job.said).toBe(0);
    const [first, second] = await warnings(job);
    expect(first).toMatch(
      /^host_setup failed on node2: ended with exit code 1, in .*; it failed on node3, too \(ignore_failure/,
    );
    expect(second).toMatch(
      /^the teardown of host_setup failed on node1: ended with exit code 1, in "echo .*": it is broken; it failed on node2, node3, too$/,
    );
    expect(job.said).toContain(`warning: ${second}`);
    const status = await jobs.start(['status', await job.jobDir()]);
    await status.ended();
    expect(status.said).toContain(`warning  ${second}`);
  });

  it('ends commands that take too long', async () => {
    const job = await jobs.apply(await recipeWith('slow', { timeout_seconds: 1, commands: ['sleep 1000'] }), {
      args: HOST,
    });
    expect(await job.ended()).toBe(1);
    expect((await job.state()).cause?.summary).toMatch(/^host_setup failed on node\d: .*1 s/);
  });

  it('runs its teardown when the job is cancelled', async () => {
    const file = await recipeWith(
      'cancelled',
      { teardown: [noting('cancelled', 'down')] },
      { requests: 100_000 },
    );
    const job = await jobs.apply(file, { args: HOST });
    await job.benchmarking();
    const cancel = await jobs.start(['cancel', await job.jobDir()]);
    expect(await cancel.ended(), cancel.said).toBe(0);
    expect(await job.ended()).toBe(143);
    expect(await noted('cancelled')).toEqual(ALL.map((node) => `down ${node}`));
  });

  it('is not repeated by a coordinator that takes over', async () => {
    const setup = { commands: [noting('taken', 'up')], teardown: [noting('taken', 'down')] };
    const job = await jobs.apply(await recipeWith('taken', setup, { requests: 300 }), { args: HOST });
    await job.measuring();
    process.kill((await job.state()).coordinatorPid, 'SIGKILL');
    expect(await job.ended(), job.said).toBe(0);
    expect((await job.state()).epoch).toBe(2);
    expect(await noted('taken')).toEqual([
      ...ALL.map((node) => `down ${node}`),
      ...ALL.map((node) => `up ${node}`),
    ]);
  });

  it('needs the consent of the user of this machine, and is left out with simulated engines', async () => {
    const file = await recipeWith('consent', { commands: [noting('consent', 'up'), 'true'] });
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace('path: test-model', `path: ${jobs.dir}`));
    const asked = await jobs.start(['apply', '-f', file, '--local']);
    expect(await asked.ended()).toBe(2);
    expect(asked.said).toContain(
      'host_setup runs commands on this machine, outside of any container: echo "up',
    );
    expect(asked.said).toContain('--no-host-setup leaves them out');
    const job = await jobs.apply(file);
    expect(await job.ended(), job.said).toBe(0);
    expect(job.said).toContain('host_setup: has no effect: its commands are left out');
    expect(existsSync(join(jobs.dir, 'consent'))).toBe(false);
  });

  it('is shown by dry-run', async () => {
    const file = await recipeWith('shown', { nodes: 'workers', commands: ['a', 'b'], teardown: ['c'] });
    const shown = await jobs.start(['dry-run', '-f', file]);
    expect(await shown.ended()).toBe(0);
    expect(shown.said).toMatch(
      /before the first point, on every node, .*:\n {2}a\n {2}b\nafter the last point, .*:\n {2}c\n/,
    );
    const json = await jobs.start(['dry-run', '-f', file, '--json']);
    await json.ended();
    expect(JSON.parse(json.stdout)).toMatchObject({
      hostSetup: { commands: ['a', 'b'], teardown: ['c'], nodes: ALL },
    });
  });
});
