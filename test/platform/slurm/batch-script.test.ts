import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { shellQuote } from '../../../src/os/quote.ts';
import { warningSeconds } from '../../../src/platform/slurm/allocation.ts';
import { batchScript } from '../../../src/platform/slurm/batch-script.ts';
import { submitError } from '../../../src/platform/slurm/submit.ts';
import { timeLimitMs } from '../../../src/recipe/values/time-limit.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'srtctl-test-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const arch = execFileSync('uname', ['-m'], { encoding: 'utf8' }).trim();

/** Runs a batch script whose node binary is a shell script. */
function run(
  node: string,
  options: {
    runtimes?: Record<string, string>;
    env?: Record<string, string>;
    files?: Record<string, string>;
  } = {},
) {
  const outputs = mkdtempSync(join(dir, 'out '));
  mkdirSync(join(outputs, 'dist'));
  writeFileSync(join(outputs, 'dist/coordinator.js'), '');
  const binary = join(outputs, 'node');
  writeFileSync(binary, `#!/bin/sh\n${node}\n`);
  chmodSync(binary, 0o755);
  const script = batchScript({
    name: 'a test',
    directives: ['#SBATCH --nodes=2'],
    outputs,
    distDir: join(outputs, 'dist'),
    runtimes: options.runtimes ?? { [arch]: binary },
    warningS: 120,
  });
  for (const [name, text] of Object.entries(options.files ?? {})) {
    mkdirSync(join(outputs, '7'), { recursive: true });
    writeFileSync(join(outputs, '7', name), text);
  }
  const env = { ...process.env, SLURM_JOB_ID: '7', ...options.env };
  return { outputs, script, ...spawnSync('bash', ['-c', script], { encoding: 'utf8', env, cwd: outputs }) };
}

describe('the batch script', () => {
  it('runs the coordinator with the job’s spec, and ends with its exit code', () => {
    const { status, stdout, outputs } = run('echo "$@"; exit 3');
    expect(status).toBe(3);
    expect(stdout.trim()).toBe(`${outputs}/dist/coordinator.js ${outputs}/7/7.json`);
  });

  it('asks for a signal before the time limit, and not to end when a node is lost', () => {
    expect(run('exit 0').script).toMatch(/^#SBATCH --signal=B:TERM@120$[\s\S]*^#SBATCH --no-kill$/m);
  });

  it('forwards SIGTERM to the coordinator and waits for its end', () => {
    const { status, stdout } = run(
      "trap 'echo told; exit 143' TERM; kill -s TERM $PPID; while :; do sleep 0.05; done",
    );
    expect({ status, stdout: stdout.trim() }).toEqual({ status: 143, stdout: 'told' });
  });

  it('restarts a coordinator that failed, up to the limit', () => {
    const node = 'echo x >>starts; exit 70';
    expect(run(node).status).toBe(70);
    const { status, outputs } = run(node, { env: { SRTCTL_COORDINATOR_RESTARTS: '2' } });
    expect(status).toBe(70);
    expect(existsSync(join(outputs, 'starts'))).toBe(true);
    expect(execFileSync('wc', ['-l', join(outputs, 'starts')], { encoding: 'utf8' })).toMatch(/^3 /);
  });

  it('does not restart the coordinator when the signal comes in the pause before a restart', () => {
    // The coordinator fails, and a moment later the script gets a signal while it waits before the next start.
    const node = `echo x >>starts
[ "$(wc -l <starts)" -gt 1 ] && { (sleep 0.3; kill -s TERM "$PPID") & }
exit 70`;
    const { status, outputs } = run(node);
    expect(status).toBe(143);
    expect(execFileSync('wc', ['-l', join(outputs, 'starts')], { encoding: 'utf8' })).toMatch(/^2 /);
  });

  it('does not touch the files of an earlier run of the same job', () => {
    const env = { SLURM_RESTART_COUNT: '1' };
    const again = run('echo started', { env, files: { 'state.json': '{}' } });
    expect(again.status).toBe(2);
    expect(again.stdout).toMatch(/^srtctl: job 7 was requeued after it had begun.*\n$/);
    expect(run('exit 0', { env }).status).toBe(0);
    expect(again.script).toContain('\n#SBATCH --no-requeue\n');
  });

  it('reports in one line that the runtime of the architecture is unknown or missing', () => {
    const other = run('exit 0', { runtimes: { riscv: '/node' } });
    expect(other.status).toBe(2);
    expect(other.stdout).toContain(`runtime.${arch}`);
    const missing = run('exit 0', { runtimes: { [arch]: '/not/there/node' } });
    expect(missing.status).toBe(2);
    expect(missing.stdout).toMatch(/^srtctl: .*\/not\/there\/node is not there.*\n$/);
  });
});

it('a quoted word is unchanged after a shell has read it', () => {
  const words = fc.array(
    fc.string({ unit: 'binary' }).map((text) => text.replaceAll('\0', '')),
    { minLength: 1 },
  );
  fc.assert(
    fc.property(words, (list) => {
      const script = `printf '%s\\0' ${list.map(shellQuote).join(' ')}`;
      const said = execFileSync('/bin/sh', ['-c', script], { encoding: 'utf8' });
      expect(said).toBe(list.map((word) => `${word}\0`).join(''));
    }),
    { numRuns: 30 },
  );
});

it.each([
  ['5', 300],
  ['5:30', 330],
  ['01:00:00', 3_600],
  ['1-00', 86_400],
  ['1-02:03', 93_780],
  ['1-02:03:04', 93_784],
])('a time limit %s is %i seconds', (text, seconds) => {
  expect(timeLimitMs(text)).toBe(seconds * 1_000);
});

it('is signalled two minutes before a time limit, later before a short one, and never at the start', () => {
  expect([null, 4 * 3_600_000, 600_000].map(warningSeconds)).toEqual([120, 120, 120]);
  for (let minutes = 1; minutes < 60; minutes++)
    expect(warningSeconds(minutes * 60_000) + 30, `${minutes} min`).toBeLessThan(minutes * 60);
});

it.each([
  ['sbatch: error: invalid partition specified: x', /invalid partition.*slurm\.partition/],
  ['sbatch: error: Batch job submission failed: Invalid account', /Invalid account.*slurm\.account/],
  ['sbatch: unrecognized option \'--x\'\nTry "sbatch --help" for more information', /--x.*sbatch_directives/],
  [
    'sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified',
    /slurm\.account.*slurm\.partition/,
  ],
  [
    "sbatch: error: Job request time limit (2-00:00:00) is longer than the partition's\nsbatch: error: Batch job submission failed: Requested time limit is invalid (missing or exceeds some limit)",
    /slurm\.time_limit/,
  ],
  [
    'sbatch: error: Time limit specification required, but not provided\nsbatch: error: partition=gpu',
    /slurm\.time_limit/,
  ],
  [
    'sbatch: error: You must always specify a type when requesting gpu GRES\nsbatch: error: Batch job submission failed: Unspecified error',
    /gpus-per-node in sbatch_directives/,
  ],
  [
    'sbatch: error: Batch job submission failed: Invalid Trackable RESource (TRES) specification',
    /gpus_per_node/,
  ],
  [
    'sbatch: fatal: SLURM_MEM_PER_CPU, SLURM_MEM_PER_GPU, and SLURM_MEM_PER_NODE are mutually exclusive.',
    /mem in sbatch_directives/,
  ],
  [
    'sbatch: error: CPU count per node can not be satisfied\nsbatch: error: Batch job submission failed: Requested node configuration is not available',
    /cpus-per-task.*resources/,
  ],
  [
    'sbatch: error: Batch job submission failed: Requested topology configuration is not available',
    /use_segment_sbatch_directive/,
  ],
  ['sbatch: error: Invalid --segment specification', /use_segment_sbatch_directive/],
  ['sbatch: error: Batch job submission failed: Invalid node name specified', /nodelist.*exclude/],
  [
    'sbatch: error: Batch job submission failed: Requested reservation is invalid',
    /reservation in sbatch_directives/,
  ],
  [
    'sbatch: error: Batch job submission failed: Invalid license specification',
    /licenses in sbatch_directives/,
  ],
  ['sbatch: error: Batch job submission failed: Job dependency problem', /dependency in sbatch_directives/],
  ['sbatch: error: Batch job submission failed: Invalid wckey specification', /wckey in sbatch_directives/],
  [
    'sbatch: error: Batch job submission failed: I/O error writing script/environment to file',
    /disk of slurmctld/,
  ],
  [
    "sbatch: error: Batch job submission failed: User's group not permitted to use this partition",
    /slurm\.partition/,
  ],
  ['sbatch: error: Batch job submission failed: Protocol authentication error', /munge/],
])('sbatch’s %s becomes one line with a hint', (stderr, line) => {
  const error = submitError({ exitCode: 1, stdout: '', stderr, timedOut: false });
  expect(error.oneLine()).toMatch(line);
  expect(error.oneLine()).not.toContain('\n');
  expect(error.exitCode).toBe(2);
});
