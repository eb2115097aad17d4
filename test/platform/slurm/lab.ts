import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { chmod, copyFile, cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach } from 'vitest';
import { findProgram } from '../../../src/os/find-program.ts';
import { until } from '../../support/bus.ts';
import { RunningJob } from '../../support/job.ts';

export const LAB = resolve(import.meta.dirname, '../../slurm-lab/lab.sh');
/** A user without root's rights and without a home. */
const NOBODY = 65_534;
const exec = promisify(execFile);

/**
 * A real Slurm cluster on this machine for the tests of one file; see test/slurm-lab/README.md for what it needs. There
 * can be only one at a time, so cluster.test.ts is the only file that asks for one. After each test every job is
 * cancelled and the next test waits until the queue and the nodes are empty.
 */
export function useLab(count: number) {
  const directory = join(tmpdir(), `srtctl-lab-${process.pid}`);
  const labEnv = { ...process.env, SRTCTL_LAB_DIR: directory };
  const started = spawnSync(LAB, ['up', `${count}`], { env: labEnv, encoding: 'utf8' });
  const conf = join(directory, 'slurm.conf');
  const env: Record<string, string> = {
    SLURM_CONF: conf,
    SRTCTL_SIM_LOAD_MS: '100',
    SRTCTL_SIM_SPEED: '10',
  };
  const nodes = Array.from({ length: count }, (_, index) => `node${index + 1}`);
  const jobs: RunningJob[] = [];
  const directories: string[] = [];

  /** Runs a command of Slurm; returns its output. */
  const slurm = (...argv: [string, ...string[]]): string =>
    spawnSync(argv[0], argv.slice(1), { env: { ...process.env, SLURM_CONF: conf }, encoding: 'utf8' }).stdout;

  /** `lab.sh COMMAND …`: exec, kill, start, cut, heal. */
  const control = (...argv: string[]): string =>
    execFileSync(LAB, argv, { env: labEnv, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

  const temporary = async (prefix: string): Promise<string> => {
    const made = await mkdtemp(join(tmpdir(), prefix));
    directories.push(made);
    return made;
  };

  /** Runs `srtctl apply --mock ARGS`. */
  async function apply(args: string[], more: Record<string, string> = {}): Promise<RunningJob> {
    const outputs = await mkdtemp(join(tmpdir(), 'srtctl-out-'));
    const job = new RunningJob(outputs, ['apply', '--mock', ...args], { ...env, ...more });
    jobs.push(job);
    return job;
  }

  /** Writes a recipe and a srtslurm.yaml beside it. Returns the recipe's path and the environment for the config. */
  async function written(text: string, cluster?: string): Promise<[string, Record<string, string>]> {
    const own = await temporary('srtctl-recipe-');
    await chmod(own, 0o755);
    await writeFile(join(own, 'recipe.yaml'), text);
    if (cluster === undefined) return [join(own, 'recipe.yaml'), {}];
    await writeFile(join(own, 'srtslurm.yaml'), cluster);
    return [join(own, 'recipe.yaml'), { SRTSLURM_CONFIG: join(own, 'srtslurm.yaml') }];
  }

  /** srtctl after `make setup build`, where every user can read it, because a checkout may be below root's home. */
  async function installed(): Promise<string> {
    const root = await temporary('srtctl-installed-');
    await cp(resolve('dist'), join(root, 'dist'), { recursive: true });
    await mkdir(join(root, '.srtctl/bin'), { recursive: true });
    const nats = findProgram('nats-server', process.env, process.cwd());
    await copyFile(nats, join(root, '.srtctl/bin/nats-server'));
    execFileSync('chmod', ['-R', 'a+rX', root]);
    return join(root, 'dist/srtctl.js');
  }

  /** Programs on the nodes in addition to Slurm's. */
  function leftOnNodes(): string[] {
    return nodes.flatMap((node) => {
      let listed = '';
      try {
        listed = control('exec', node, 'ps', '-e', '-o', 'args=');
      } catch {
        return []; // the node is off
      }
      return listed
        .split('\n')
        .filter((line) => line !== '' && !/^(slurmd |bash .*node\.sh |sleep 1000|ps -e)/.test(line))
        .map((line) => `${node}: ${line}`);
    });
  }

  async function nothingLeft(): Promise<void> {
    let left: string[] = [];
    await until(
      'nothing left on the nodes',
      () => {
        left = leftOnNodes();
        return left.length === 0;
      },
      60_000,
    ).catch((error: Error) => Promise.reject(new Error(`${error.message}; there is ${left.join('\n')}`)));
  }

  /** Waits until no job waits, runs or is being cleaned up, so that the next test sees only its own jobs. */
  const noJobs = () => until('an empty queue', () => slurm('squeue', '-h', '-o', '%A %T') === '', 90_000);

  afterEach(async () => {
    const ids = slurm('squeue', '-h', '-o', '%A').split('\n').filter(Boolean);
    if (ids.length > 0) slurm('scancel', '--full', ...ids);
    for (const job of jobs.splice(0)) await job.destroy();
    await noJobs();
    for (const each of directories.splice(0)) await rm(each, { recursive: true, force: true });
  });
  afterAll(() => {
    spawnSync(LAB, ['down'], { env: labEnv });
  });

  return {
    /** '' when the cluster is up, else the reason. */
    why: started.status === 0 ? '' : started.stderr.trim() || 'it did not start',
    directory,
    env,
    nodes,
    slurm,
    control,
    temporary,
    apply,
    written,
    installed,
    leftOnNodes,
    nothingLeft,
    noJobs,
    /** Runs a command as an unprivileged user, in that user's own directory. */
    asNobody: async (directoryOfTheirs: string, argv: [string, ...string[]]) =>
      exec(argv[0], argv.slice(1), {
        uid: NOBODY,
        gid: NOBODY,
        cwd: directoryOfTheirs,
        env: { ...process.env, ...env, HOME: directoryOfTheirs },
      }),
    nobody: NOBODY,
    /** The last line of Slurm's accounting. */
    completed: (): string =>
      readFileSync(join(directory, 'jobcomp.log'), 'utf8').trim().split('\n').at(-1) ?? '',
  };
}

/** Two nodes: one prefill worker on the first, two decode workers on the second. */
export const recipe = `name: lab
model: {path: test-model, container: repo/image:1, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 4, prefill_nodes: 1, prefill_workers: 1, decode_nodes: 1, decode_workers: 2}
frontend: {type: sglang, enable_multiple_frontends: false}
backend:
  sglang_config:
    prefill: {served-model-name: m, tensor-parallel-size: 4}
    decode: {served-model-name: m, tensor-parallel-size: 2}
benchmark: {type: sa-bench, isl: 64, osl: 32, concurrencies: "2", num_prompts_mult: 4, num_warmup_mult: 1}
slurm: {time_limit: "00:10:00"}
`;

/** A benchmark that writes its environment to a file; `seenBy` reads it. */
export const inspecting =
  "{type: custom, command: 'env > $SRT_RESULT_DIR/seen.txt; nproc >> $SRT_RESULT_DIR/seen.txt', env: {MY_OWN: x}}";

export async function seenBy(job: RunningJob): Promise<string> {
  const points = join(await job.jobDir(), 'points');
  return readFile(join(points, readdirSync(points)[0] ?? '', 'seen.txt'), 'utf8');
}
