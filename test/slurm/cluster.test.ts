import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { until } from '../support/bus.ts';
import { RunningJob } from '../support/job.ts';

/** A real Slurm cluster of four nodes on this machine; see test/slurm-lab/README.md for what it needs. */
const lab = resolve(import.meta.dirname, '../slurm-lab/lab.sh');
const labDir = join(tmpdir(), `srtctl-lab-${process.pid}`);
const labEnv = { ...process.env, SRTCTL_LAB_DIR: labDir };
const started = spawnSync(lab, ['up', '4'], { env: labEnv, encoding: 'utf8' });
const conf = join(labDir, 'slurm.conf');
const env = { SLURM_CONF: conf, SRTCTL_SIM_LOAD_MS: '100', SRTCTL_SIM_SPEED: '10' };
const run = promisify(execFile);

const jobs: RunningJob[] = [];
const dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
afterEach(async () => {
  for (const job of jobs.splice(0)) {
    slurm('scancel', '--full', '--user=root');
    await job.destroy();
  }
});
afterAll(async () => {
  spawnSync(lab, ['down'], { env: labEnv });
  await rm(dir, { recursive: true, force: true });
});

const slurm = (...argv: [string, ...string[]]): string =>
  spawnSync(argv[0], argv.slice(1), { env: { ...process.env, SLURM_CONF: conf }, encoding: 'utf8' }).stdout;

async function apply(args: string[], more: Record<string, string> = {}): Promise<RunningJob> {
  const outputs = await mkdtemp(join(tmpdir(), 'srtctl-out-'));
  const job = new RunningJob(outputs, ['apply', '--mock', ...args], { ...env, ...more });
  jobs.push(job);
  return job;
}

/** Programs on the nodes beside Slurm's own. */
function leftOnNodes(): string[] {
  return ['node1', 'node2', 'node3', 'node4'].flatMap((node) => {
    const listed = execFileSync(lab, ['exec', node, 'ps', '-e', '-o', 'args='], {
      env: labEnv,
      encoding: 'utf8',
    });
    return listed
      .split('\n')
      .filter((line) => line !== '' && !/^(slurmd |bash .*node\.sh |sleep 1000|ps -e)/.test(line))
      .map((line) => `${node}: ${line}`);
  });
}

const onNode = (node: string, ...argv: string[]): string =>
  execFileSync(lab, ['exec', node, ...argv], { env: labEnv, encoding: 'utf8' });

const nothingLeft = () => until('nothing left on the nodes', async () => leftOnNodes().length === 0, 20_000);

const recipe = `name: lab
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
const inspecting =
  "{type: custom, command: 'env > $SRT_RESULT_DIR/seen.txt; nproc >> $SRT_RESULT_DIR/seen.txt', env: {MY_OWN: x}}";

async function written(text: string, cluster?: string): Promise<[string, Record<string, string>]> {
  const own = await mkdtemp(join(dir, 'r-'));
  await writeFile(join(own, 'recipe.yaml'), text);
  if (cluster === undefined) return [join(own, 'recipe.yaml'), {}];
  await writeFile(join(own, 'srtslurm.yaml'), cluster);
  return [join(own, 'recipe.yaml'), { SRTSLURM_CONFIG: join(own, 'srtslurm.yaml') }];
}

/** What the benchmark of `inspecting` saw around it. */
async function seenBy(job: RunningJob): Promise<string> {
  const points = join(await job.jobDir(), 'points');
  return readFile(join(points, readdirSync(points)[0] ?? '', 'seen.txt'), 'utf8');
}

const completed = (): string =>
  readFileSync(join(labDir, 'jobcomp.log'), 'utf8').trim().split('\n').at(-1) ?? '';

describe.skipIf(started.status !== 0)(
  `on a Slurm cluster${started.status === 0 ? '' : ` (there is none: ${started.stderr.trim()})`}`,
  { timeout: 120_000 },
  () => {
    it('apply submits one job, whose agents are one step, and waits for its result', async () => {
      const job = await apply(['-f', resolve('examples/quickstart.yaml'), '--watch']);
      const steps = new Set<string>();
      let over = false;
      const ended = job.ended().finally(() => {
        over = true;
      });
      while (!over) {
        const { stdout } = await run('squeue', ['-s', '-h', '-o', '%i'], { env: { ...process.env, ...env } });
        for (const step of stdout.split('\n')) if (step !== '') steps.add(step.replace(/^\d+\./, ''));
      }
      expect(await ended, job.stderr + job.stdout).toBe(0);
      expect([...steps].filter((step) => step !== 'batch' && step !== 'extern')).toEqual(['0']);
      expect((await job.results())[0]).toMatchObject({ status: 'done', benchmark: { valid: true } });
      await until('accounting', async () => completed().includes('Name=quickstart'), 10_000);
      expect(completed()).toContain('JobState=COMPLETED');
      await nothingLeft();
    });

    it('runs for an ordinary user', async () => {
      const outputs = await mkdtemp(join(tmpdir(), 'srtctl-out-'));
      await chown(outputs, 65_534, 65_534);
      const [file] = await written(recipe);
      execFileSync('chmod', ['-R', 'a+rX', dir]);
      try {
        const { stdout } = await run(
          process.execPath,
          [resolve('dist/srtctl.js'), 'apply', '-f', file, '--mock', '--watch', '--output', outputs],
          { uid: 65_534, gid: 65_534, cwd: outputs, env: { ...process.env, ...env, HOME: outputs } },
        );
        expect(stdout).toContain('done');
        await nothingLeft();
      } finally {
        await rm(outputs, { recursive: true, force: true });
      }
    });

    it("gives pyxis the image and the mounts, and nginx's image agents of its own", async () => {
      const text = recipe
        .replace('enable_multiple_frontends: false', 'nginx_container: repo/nginx:2')
        .replace(/benchmark: .*/, `benchmark: ${inspecting}`);
      const [file, config] = await written(
        `${text}extra_mount: ["/tmp:/data"]\n`,
        'container_runtime: pyxis\n',
      );
      const job = await apply(['-f', file, '--watch'], config);
      expect(await job.ended(), job.stderr + job.stdout).toBe(0);
      const seen = await seenBy(job);
      expect(seen).toContain('SRTCTL_LAB_IMAGE=repo/image:1\n');
      expect(seen).toMatch(/SRTCTL_LAB_MOUNTS=.*\/tmp:\/data/);
      expect(seen).toContain('MY_OWN=x\n');
    });

    it('runs in both components of a heterogeneous job', async () => {
      const [file] = await written(recipe.replace('{gpu_type', '{het_jobs: true, gpu_type'));
      const job = await apply(['-f', file, '--watch']);
      expect(await job.ended(), job.stderr + job.stdout).toBe(0);
      await nothingLeft();
    });

    it('runs in the allocation of the shell, which goes on when the run is over', async () => {
      const [file] = await written(recipe);
      const outputs = await mkdtemp(join(tmpdir(), 'srtctl-out-'));
      try {
        const { stdout } = await run(
          'salloc',
          [
            '-N2',
            '--quiet',
            process.execPath,
            resolve('dist/srtctl.js'),
            'apply',
            '-f',
            file,
            '--mock',
            '--output',
            outputs,
          ],
          { env: { ...process.env, ...env } },
        );
        expect(stdout).toContain('done');
        await nothingLeft();
      } finally {
        await rm(outputs, { recursive: true, force: true });
      }
    });

    it('stops in good order on scancel, and keeps what it has', async () => {
      const [file] = await written(recipe.replace('num_prompts_mult: 4', 'num_prompts_mult: 4000'));
      const job = await apply(['-f', file, '--watch']);
      await job.pointReached('benchmarking');
      slurm('scancel', '--full', (await job.jobDir()).split('/').at(-1) ?? '');
      expect(await job.ended(), job.stdout).toBe(143);
      await nothingLeft();
    });

    it.each([
      ['a partition that is not there', 'slurm: {partition: none}', /partition/i],
      ['more nodes than there are', 'infra: {etcd_nats_dedicated_node: true}', /nodes/i],
    ])('says in one line what to change for %s', async (_what, section, message) => {
      const text = section.startsWith('slurm')
        ? recipe.replace(/slurm: .*/, section)
        : `${recipe}${section}\n`;
      const [file] = await written(
        section.startsWith('infra') ? text.replace('decode_nodes: 1', 'decode_nodes: 9') : text,
      );
      const job = await apply(['-f', file]);
      expect(await job.ended()).toBe(2);
      expect(job.stderr.trim().split('\n').at(-1)).toMatch(message);
      expect(slurm('squeue', '-h')).toBe('');
    });

    it('ends with the cause when an image cannot be imported', async () => {
      const [file, config] = await written(
        recipe.replace('repo/image:1', 'refused/image:1'),
        'container_runtime: pyxis\n',
      );
      const job = await apply(['-f', file, '--watch'], config);
      expect(await job.ended()).toBe(1);
      expect(job.stdout + job.stderr).toMatch(/failed to import docker image: refused\/image:1/);
      await nothingLeft();
    });

    it('goes on with the benchmark when its coordinator is killed', async () => {
      const [file] = await written(recipe.replace('num_prompts_mult: 4', 'num_prompts_mult: 400'));
      const job = await apply(['-f', file, '--watch']);
      await job.pointReached('benchmarking');
      await job.reached('benchmark', 'ready');
      const { coordinatorPid, home } = await job.state();
      onNode(home?.host ?? '', 'kill', '-9', `${coordinatorPid}`);
      expect(await job.ended(), job.stderr + job.stdout).toBe(0);
      expect(await job.state()).toMatchObject({ epoch: 2, sweep: 'finished', exitCode: 0 });
      expect((await job.results())[0]).toMatchObject({ status: 'done', benchmark: { valid: true } });
      for (const id of ['prefill-0-0', 'decode-0-0', 'benchmark'])
        expect((await job.transitions(id)).filter(({ to }) => to === 'ready')).toHaveLength(1);
      await nothingLeft();
    });

    it('starts another agent where one was killed, and runs the next point', async () => {
      const text = recipe
        .replace('num_prompts_mult: 4', 'num_prompts_mult: 200')
        .replace('osl: 32', 'osl: "{osl}"');
      const [file] = await written(`${text}sweep: {osl: [16, 32]}\n`);
      const job = await apply(['-f', file, '--watch']);
      await job.pointReached('benchmarking');
      const { node } = await job.reached('decode-0-0', 'ready');
      const agent = onNode(node, 'ps', '-e', '-o', 'pid=,args=')
        .split('\n')
        .find((line) => line.includes('node-agent.js') && !line.includes('/bin/sh'));
      onNode(node, 'kill', '-9', `${Number.parseInt(agent ?? '', 10)}`);
      expect(await job.ended(), job.stderr + job.stdout).not.toBe(0);
      expect((await job.results()).map(({ status }) => status)).toEqual(['failed', 'done']);
      expect((await job.results())[0]).toMatchObject({ cause: { node } });
      await nothingLeft();
    });

    it('tries the point again on a spare node when one is powered off', async () => {
      const text = recipe
        .replace('num_prompts_mult: 4', 'num_prompts_mult: 300')
        .replace('resources: {', 'resources: {spare_nodes: 1, ');
      const [file] = await written(`${text}supervision: {lease: 5}\n`);
      const job = await apply(['-f', file, '--watch']);
      await job.pointReached('benchmarking');
      const { node } = await job.reached('decode-0-0', 'ready');
      execFileSync(lab, ['kill', node], { env: labEnv });
      try {
        expect(await job.ended(), job.stderr + job.stdout).toBe(0);
        expect((await job.results())[0]).toMatchObject({ status: 'done', benchmark: { valid: true } });
        expect((await job.transitions('decode-0-0')).findLast(({ to }) => to === 'ready')?.node).not.toBe(
          node,
        );
      } finally {
        spawnSync(lab, ['start', node], { env: labEnv });
      }
    });
  },
);

await mkdir(dir, { recursive: true });
