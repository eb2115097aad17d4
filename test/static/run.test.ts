import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type JobState, jobStateSchema } from '../../src/messages/job-directory/job-files.ts';
import { until } from '../support/bus.ts';
import { FakeSlurm } from './fake-slurm.ts';

const SRTCTL = resolve('dist/srtctl.js');

const recipe = (benchmark: string, more = '') => `name: static test
model: {path: test-model, container: repo/image:1, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 4, prefill_nodes: 1, prefill_workers: 1, decode_nodes: 1, decode_workers: 2}
frontend: {type: sglang, enable_multiple_frontends: false}
backend:
  sglang_config:
    prefill: {served-model-name: m, tensor-parallel-size: 4}
    decode: {served-model-name: m, tensor-parallel-size: 2}
benchmark: ${benchmark}
${more}`;
const measured =
  '{type: sa-bench, isl: 64, osl: 32, concurrencies: "2", num_prompts_mult: 4, num_warmup_mult: 1}';
const long = "{type: custom, command: 'sleep 1000'}";

let slurm: FakeSlurm;
beforeEach(() => {
  slurm = new FakeSlurm(2, { ownNetwork: true });
});
afterEach(() => slurm.destroy());

function render(text: string, ...options: string[]): string {
  const args = [SRTCTL, 'render', '-f', slurm.write('recipe.yaml', text), '--mock', ...options];
  const script = execFileSync(process.execPath, args, { env: slurm.env, encoding: 'utf8', cwd: slurm.dir });
  return slurm.write('script.sh', script);
}

/** Id of the process that a pid belongs to; undefined when it is not a process of the plan. */
function processOf(pid: number): string | undefined {
  try {
    const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
    return /(?:^|\0)SRTCTL_PROCESS=[^\0]*\/([^/\0]+)\/1\0/.exec(environment)?.[1];
  } catch {
    return undefined;
  }
}

const state = (): JobState =>
  jobStateSchema.parse(JSON.parse(readFileSync(join(slurm.jobDir, 'state.json'), 'utf8')));

describe('a rendered script', { timeout: 120_000 }, () => {
  it('runs the recipe, writes the files of a job, and leaves no process', async () => {
    const { code, said } = await slurm.start(render(recipe(measured))).ended;
    expect(code, said).toBe(0);
    expect(state()).toMatchObject({ sweep: 'finished', exitCode: 0, points: [{ state: 'done' }] });
    const point = join(slurm.jobDir, 'points/00-static-test');
    const figures = JSON.parse(readFileSync(join(point, 'results_concurrency_2.json'), 'utf8'));
    expect(figures).toMatchObject({ completed: 8, failed: 0 });
    for (const file of [
      'sbatch_script.sh',
      'points/00-static-test/config.yaml',
      'logs/node1_prefill_w0.out',
      'logs/node2_decode_w1.out',
    ])
      expect(existsSync(join(slurm.jobDir, file)), file).toBe(true);
    expect(await slurm.left()).toEqual([]);
    const steps = slurm.sruns().filter((word) => word.startsWith('--job-name=srtctl-'));
    expect(steps.filter((word) => !word.endsWith('-all'))).toHaveLength(5);
    // Stops the routers, then the workers; then clears the nodes.
    expect(steps.filter((word) => word.endsWith('-all'))).toHaveLength(3);
  });

  it('continues after a failed point, runs a step once, and ends with 1 and the first cause', async () => {
    const command = 'echo last words; test {n} = 2';
    const text = recipe(`{type: custom, command: '${command}'}`, 'sweep: {n: [1, 2]}\n');
    const setup = slurm.write('setup.sh', `echo done >>"${join(slurm.dir, 'setup.log')}"\n`);
    const { code, said } = await slurm.start(render(text, '--setup-script', setup)).ended;
    expect(code, said).toBe(1);
    const { points, cause } = state();
    expect(points.map(({ status }) => status)).toEqual(['failed', 'done']);
    expect(cause).toMatchObject({ summary: 'the benchmark ended with exit code 1', process: 'benchmark' });
    expect(cause?.logTail).toContain('last words');
    // Once on each of the two nodes, and not again for the second point.
    expect(readFileSync(join(slurm.dir, 'setup.log'), 'utf8')).toBe('done\ndone\n');
  });

  it('is used by apply inside an allocation, one script for each part of a variant', async () => {
    const text = recipe(
      `{type: custom, command: 'test {n} = 2'}`,
      'sweep: {allocation: per-point, n: [1, 2]}\n',
    );
    const run = slurm.start(
      slurm.write(
        'apply.sh',
        `exec "$NODE" "$SRTCTL" apply --no-use-orchestrator --mock -f ${slurm.write('recipe.yaml', text)}`,
      ),
      { NODE: process.execPath, SRTCTL },
    );
    const { code, said } = await run.ended;
    expect(code, said).toBe(1);
    const [first, second] = ['', '-2'].map((suffix) =>
      jobStateSchema.parse(JSON.parse(readFileSync(join(`${slurm.jobDir}${suffix}`, 'state.json'), 'utf8'))),
    );
    expect(first).toMatchObject({ exitCode: 1, points: [{ ordinal: 0, status: 'failed' }] });
    expect(second).toMatchObject({ exitCode: 0, points: [{ ordinal: 1, status: 'done' }] });
    expect(await slurm.left()).toEqual([]);
  });

  it('ends at the next poll after a worker has died, and names the worker', async () => {
    const env = 'backend:\n  decode_environment: {SRTCTL_SIM_CRASH_AFTER_MS: "300"}\n';
    const { code, said } = await slurm.start(render(recipe(long).replace('backend:\n', env))).ended;
    expect(code, said).toBe(1);
    expect(state().cause?.summary).toMatch(/^decode-[01]-0 ended with exit code/);
    expect(await slurm.left()).toEqual([]);
  });

  it.each([
    [
      'at its first failed request',
      true,
      /the result is not valid: a request failed at concurrency 2, which ended/,
    ],
    ['at its end', false, /the result is not valid: \d+ of 8 requests failed at concurrency 2/],
  ])('ends with 1 when a result is not valid, and says so %s', async (_, stops, reason) => {
    const benchmark = measured.replace('}', `, stop_when_invalid: ${stops}}`);
    const SRTCTL_SIM_FAULTS = '[{do: refuse, process: decode, request: 3}]';
    const { code, said } = await slurm.start(render(recipe(benchmark)), { SRTCTL_SIM_FAULTS }).ended;
    expect(code, said).toBe(1);
    expect(said).toMatch(reason);
    expect(state()).toMatchObject({ exitCode: 1, points: [{ status: 'failed' }] });
    expect(state().cause?.logTail?.join('\n')).toMatch(reason);
    expect(await slurm.left()).toEqual([]);
  });

  it('counts no request as failed that a lost worker had, when it is not critical', async () => {
    const text = recipe(measured, 'supervision: {critical: {decode: false}}\n');
    const SRTCTL_SIM_FAULTS = '[{do: refuse, process: decode, request: 5}]';
    const { code, said } = await slurm.start(render(text), { SRTCTL_SIM_FAULTS }).ended;
    expect(code, said).toBe(0);
    expect(await slurm.left()).toEqual([]);
  });

  it('continues at once without a worker that died and is not critical', async () => {
    const text = recipe(
      `{type: custom, command: 'true'}`,
      'supervision: {critical: {decode: false}}\nhealth_check: {interval_seconds: 1, max_attempts: 100000}\n',
    );
    const SRTCTL_SIM_FAULTS = '[{do: die, process: decode-0}]';
    const { code, said } = await slurm.start(render(text), { SRTCTL_SIM_FAULTS }).ended;
    expect(code, said).toBe(0);
    expect(said).toContain('decode-0-0 ended with exit code');
    expect(await slurm.left()).toEqual([]);
  });

  it('stops everything on SIGTERM, and ends with 143', async () => {
    const run = slurm.start(render(recipe(long)));
    await until('the benchmark', () => run.said().includes(' benchmark\n'));
    run.child.kill('SIGTERM');
    const { code, said } = await run.ended;
    expect(code, said).toBe(143);
    expect(state()).toMatchObject({ exitCode: 143, points: [{ state: 'interrupted' }] });
    expect(await slurm.left()).toEqual([]);
  });

  it('stops clients before routers and routers before workers, each by its main process', async () => {
    // A shell around a program that takes a second to end: the shell alone would end at once, and leave the
    // program running.
    const wellEnded = join(slurm.dir, 'ended-well');
    const client = slurm.write(
      'client.py',
      `import pathlib, signal, sys, time
def end(*_):
    time.sleep(1)
    pathlib.Path("${wellEnded}").write_text("yes")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
print("measuring", flush=True)
while True: time.sleep(0.1)
`,
    );
    const run = slurm.start(render(recipe(`{type: custom, command: 'python3 ${client}; true'}`)));
    const log = join(slurm.jobDir, 'points/00-static-test/benchmark.out');
    await until('the client', () => existsSync(log) && readFileSync(log, 'utf8').includes('measuring'));
    const lastSeen = new Map<string, number>();
    const look = async () => {
      for (const pid of await slurm.left()) {
        const id = processOf(pid);
        if (id !== undefined) lastSeen.set(id, performance.now());
      }
    };
    await look();
    run.child.kill('SIGTERM');
    const begin = performance.now();
    while (run.child.exitCode === null) await look();
    expect((await run.ended).code, run.said()).toBe(143);
    expect(existsSync(wellEnded)).toBe(true);
    const ends = [...lastSeen].sort(([, a], [, b]) => a - b).map(([id]) => id.replace(/-.*/, ''));
    expect(ends).toEqual(['benchmark', 'frontend', ...ends.slice(2)]);
    expect(ends.slice(2).sort()).toEqual(['decode', 'decode', 'prefill']);
    expect((lastSeen.get('benchmark') ?? 0) - begin).toBeGreaterThan(900);
    expect(await slurm.left()).toEqual([]);
  });

  it.each([
    ['too few nodes', { FAKE_NODES: 'node1' }, /needs 2 nodes, and this allocation has 1/],
    ['no allocation', { SLURM_JOB_ID: '', SRTCTL_JOB_ID: '' }, /submit it with sbatch/],
  ])('with %s starts nothing and ends with 2', async (_what, env, message) => {
    const { code, said } = await slurm.start(render(recipe(measured)), env).ended;
    expect(said).toMatch(message);
    expect(code).toBe(2);
    expect(await slurm.left()).toEqual([]);
  });

  it('reports at once that a program of srtctl needs Node, where there is none', async () => {
    const script = render(recipe(measured));
    slurm.write(
      'script.sh',
      readFileSync(script, 'utf8').replaceAll(/node_binary=\S+ ;;/g, 'node_binary=/not/there ;;'),
    );
    const { code, said } = await slurm.start(script).ended;
    expect(said).toMatch(/^srtctl: .*\/not\/there does not exist.*custom needs none\n$/);
    expect(code).toBe(2);
  });
});
