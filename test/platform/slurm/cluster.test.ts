import { execFile, execFileSync, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { chmod, chown, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { requirePidNamespace } from '../../../src/platform/launch/pid-namespace.ts';
import { until } from '../../support/bus.ts';
import { RunningJob } from '../../support/job.ts';
import { inspecting, LAB, recipe, seenBy, useLab } from './lab.ts';

const lab = useLab(4);
const run = promisify(execFile);
const pidNamespaces = await requirePidNamespace().then(
  () => true,
  () => false,
);
const SRTCTL = resolve('dist/srtctl.js');
/** Its benchmark runs until the test stops it. */
const long = recipe.replace('num_prompts_mult: 4', 'num_prompts_mult: 40000');
const submittedSchema = z.object({ kind: z.literal('submitted'), jobId: z.string() });
const findingSchema = z.object({ check: z.string(), where: z.string(), status: z.string() });

/** Two prefill workers on a node, and a decode worker of two nodes. */
const trtllm = `name: lab-trt
model: {path: test-model, container: repo/image:1, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 4, prefill_nodes: 1, prefill_workers: 2, decode_nodes: 2, decode_workers: 1}
frontend: {type: trtllm_serve, enable_multiple_frontends: false}
backend:
  type: trtllm
  trtllm_config: {prefill: {tensor_parallel_size: 2}, decode: {tensor_parallel_size: 8}}
benchmark: {type: custom, command: 'sleep 1000'}
slurm: {time_limit: "00:10:00"}
`;

/** Pid, environment and CPUs of the processes on a node whose command line contains a text. */
function around(node: string, text: string): { pid: number; env: Record<string, string>; cpus: string }[] {
  const code = `const { readdirSync, readFileSync } = require('node:fs');
    const found = readdirSync('/proc').filter((pid) => /^[0-9]+$/.test(pid)).flatMap((pid) => {
      try {
        const read = (file) => readFileSync('/proc/' + pid + '/' + file, 'latin1');
        // An agent's launcher is a shell with the same text.
        const line = read('cmdline');
        if (pid == process.pid || !line.includes(${JSON.stringify(text)}) || line.startsWith('/bin/sh\\0-c')) return [];
        const env = Object.fromEntries(read('environ').split('\\0').map((entry) => entry.split(/=(.*)/s)));
        return [{ pid: Number(pid), env, cpus: /Cpus_allowed_list:\\s*(.*)/.exec(read('status'))[1] }];
      } catch { return []; }
    });
    console.log(JSON.stringify(found));`;
  const args = ['exec', node, process.execPath, '-e', code];
  return JSON.parse(lab.control(...args));
}

/** The output of a command of srtctl about a job, and its exit code. */
async function answerOf(job: RunningJob, args: readonly string[]) {
  const command = new RunningJob(job.outputs, args, lab.env);
  const exitCode = await command.ended();
  return { exitCode, stdout: command.stdout, stderr: command.stderr };
}

/** The file of the lab's own slurmctld. */
const slurmctld = (): number => Number(readFileSync(join(lab.directory, 'slurmctld.pid'), 'utf8'));

/** sbatch processes that an apply runs. */
function sbatchesOf({ child }: RunningJob): number[] {
  const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim();
  return children
    .split(' ')
    .filter((pid) => pid !== '' && readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'sbatch')
    .map(Number);
}

describe.skipIf(lab.why !== '')(
  `on a Slurm cluster${lab.why === '' ? '' : ` (there is none: ${lab.why})`}`,
  { timeout: 240_000 },
  () => {
    it('apply submits one job, whose agents are one step, and waits for its result', async () => {
      const job = await lab.apply(['-f', resolve('examples/quickstart.yaml'), '--watch']);
      const steps = new Set<string>();
      let over = false;
      const ended = job.ended().finally(() => {
        over = true;
      });
      while (!over) {
        const { stdout } = await run('squeue', ['-s', '-h', '-o', '%i'], {
          env: { ...process.env, ...lab.env },
        });
        for (const step of stdout.split('\n')) if (step !== '') steps.add(step.replace(/^\d+\./, ''));
      }
      expect(await ended, job.stderr + job.stdout).toBe(0);
      expect([...steps].filter((step) => step !== 'batch' && step !== 'extern')).toEqual(['0']);
      expect((await job.results())[0]).toMatchObject({ status: 'done', benchmark: { valid: true } });
      await until('accounting', () => lab.completed().includes('Name=quickstart'));
      expect(lab.completed()).toContain('JobState=COMPLETED');
      await lab.nothingLeft();
    });

    it('runs a rendered job that somebody else submits, and finds it afterwards', async () => {
      const [file] = await lab.written(recipe);
      const outputs = await lab.temporary('srtctl-out-');
      const place = await lab.temporary('srtctl-render-');
      const options = ['--set', 'benchmark.osl=16', '--tags', 'mine'];
      const rendering = new RunningJob(
        outputs,
        ['render', '--mock', '-f', file, '--to', place, ...options],
        lab.env,
      );
      expect(await rendering.ended(), rendering.said).toBe(0);
      const script = rendering.stdout.trim().split('\n').at(-1) ?? '';
      const job = new RunningJob(outputs, ['status'], lab.env);
      const submitted = await run('sbatch', ['--parsable', script], { env: { ...process.env, ...lab.env } });
      const jobId = submitted.stdout.trim();
      await until(
        'a job that is over',
        () => lab.slurm('squeue', '-h', '-j', jobId, '-o', '%T') === '',
        120_000,
      );
      const status = await answerOf(job, ['status', jobId, '--json']);
      expect(JSON.parse(status.stdout)).toMatchObject({
        ...{ jobId, state: 'finished', exitCode: 0, tags: ['mine'], edits: ['--set benchmark.osl=16'] },
      });
      expect((await answerOf(job, ['results', jobId])).stdout).toContain('lab');
      expect((await answerOf(job, ['why', jobId])).exitCode).toBe(0);
      await lab.nothingLeft();
    });

    it('runs for an ordinary user, from a directory that is not the checkout', async () => {
      const outputs = await lab.temporary('srtctl-out-');
      await chown(outputs, lab.nobody, lab.nobody);
      const [file] = await lab.written(recipe);
      const srtctl = await lab.installed();
      const command = [srtctl, 'apply', '-f', file, '--mock', '--watch', '--output', outputs];
      const { stdout } = await lab.asNobody(outputs, [process.execPath, ...command]);
      expect(stdout).toContain('done');
      await lab.nothingLeft();
    });

    it('gives pyxis the image and the mounts, and gives nginx’s image its own agents', async () => {
      const text = recipe
        .replace('enable_multiple_frontends: false', 'nginx_container: repo/nginx:2')
        .replace(/benchmark: .*/, `benchmark: ${inspecting}`);
      const [file, config] = await lab.written(
        `${text}extra_mount: ["/tmp:/data"]\n`,
        'container_runtime: pyxis\n',
      );
      const job = await lab.apply(['-f', file, '--watch'], config);
      expect(await job.ended(), job.stderr + job.stdout).toBe(0);
      const seen = await seenBy(job);
      expect(seen).toContain('SRTCTL_LAB_IMAGE=repo/image:1\n');
      expect(seen).toMatch(/SRTCTL_LAB_MOUNTS=.*\/tmp:\/data/);
      expect(seen).toContain('MY_OWN=x\n');
      const joined = (await job.events()).flatMap((event) =>
        event.kind === 'agent.transition' && event.to === 'joined' ? [event.node] : [],
      );
      expect(new Set(joined)).toEqual(new Set(['node1', 'node1/nginx', 'node2']));
      await lab.nothingLeft();
    });

    it('starts the container of a service with its own options of srun', async () => {
      const [file, config] = await lab.written(
        `${long}sbatch_directives: {exclusive: ''}
services:
  - {name: few, command: [sh, -c, 'echo $SRTCTL_LAB_IMAGE; exec sleep infinity'], cpus_per_task: 3, cpu_bind: none, start: before_workers, srun_options: {exclusive: true}, readiness: {log: {pattern: '^repo/image:1$'}}}
`,
        'container_runtime: pyxis\n',
      );
      const job = await lab.apply(['-f', file, '--watch'], config);
      await job.benchmarking();
      const steps = lab.slurm('scontrol', 'show', 'steps').split('\n\n');
      expect(steps.find((step) => step.includes('Name=srtctl-agents-base'))).toMatch(/ CPUs=3 /);
      lab.slurm('scancel', '--full', (await job.jobDir()).split('/').at(-1) ?? '');
      expect(await job.ended(), job.stderr + job.stdout).toBe(143);
      await lab.nothingLeft();
    });

    it('runs host_setup outside of the container on every node, and its teardown after scancel', async () => {
      const said = await lab.temporary('srtctl-host-');
      const noting = (what: string) =>
        `echo "${what} $SRTCTL_NODE \${SRTCTL_LAB_IMAGE:-bare} of $SLURM_JOB_NUM_NODES" >> ${said}/$(hostname)`;
      const setup = { commands: [noting('up')], teardown: [noting('down')] };
      const [file, config] = await lab.written(
        `${long}host_setup: ${JSON.stringify(setup)}\n`,
        'container_runtime: pyxis\n',
      );
      const job = await lab.apply(['-f', file, '--watch', '--host-setup'], config);
      await job.benchmarking();
      lab.slurm('scancel', '--full', (await job.jobDir()).split('/').at(-1) ?? '');
      expect(await job.ended(), job.stderr + job.stdout).toBe(143);
      for (const node of ['node1', 'node2'])
        expect(await readFile(join(said, node), 'utf8')).toBe(
          `up ${node} bare of 2\ndown ${node} bare of 2\n`,
        );
      await lab.nothingLeft();
    });

    it('runs in both components of a heterogeneous job', async () => {
      const [file] = await lab.written(recipe.replace('{gpu_type', '{het_jobs: true, gpu_type'));
      const job = await lab.apply(['-f', file, '--watch']);
      expect(await job.ended(), job.stderr + job.stdout).toBe(0);
      await lab.nothingLeft();
    });

    it.each([
      ['with agents', []],
      ['as one script', ['--no-use-orchestrator']],
    ])('runs %s in the allocation of the shell, which continues after the run', async (_, options) => {
      const [file] = await lab.written(recipe);
      const outputs = await lab.temporary('srtctl-out-');
      const command = [SRTCTL, 'apply', '-f', file, '--mock', '--output', outputs, ...options];
      const { stdout } = await run('salloc', ['-N2', '--quiet', process.execPath, ...command], {
        env: { ...process.env, ...lab.env, SRTCTL_STATIC_POLL_SECONDS: '0.5' },
      });
      expect(stdout).toContain('done');
      await lab.nothingLeft();
    });

    it.skipIf(!pidNamespaces)('runs with agents in their own PID namespaces', async () => {
      const [file] = await lab.written(`${recipe}supervision: {pid_namespace: true}\n`);
      const job = await lab.apply(['-f', file, '--watch']);
      expect(await job.ended(), job.stderr + job.stdout).toBe(0);
      await lab.nothingLeft();
    });

    it('runs services on nodes of their own beside workers, in their own image', async () => {
      const text = recipe.replace(/benchmark: .*/, `benchmark: ${inspecting}`);
      const [file, config] = await lab.written(
        `${text}services:
  - {name: train, command: [sh, -c, 'echo $SRTCTL_LAB_IMAGE of {pool_nodes}; exec sleep infinity'], nodes: 2, container: 'repo/train:3', readiness: {log: {pattern: '^repo/train:3 of node3,node4$'}}}
  - {name: beside, command: [sh, -c, 'echo up on "$0"; exec sleep infinity', '{node}'], placement: {pool: train}, start: before_workers}
`,
        'container_runtime: pyxis\n',
      );
      const job = await lab.apply(['-f', file, '--watch'], config);
      expect(await job.ended(), job.stderr + job.stdout).toBe(0);
      expect(await seenBy(job)).toContain('SRT_SERVICE_TRAIN_NODES=node3,node4\n');
      const joined = (await job.events()).flatMap((event) =>
        event.kind === 'agent.transition' && event.to === 'joined' ? [event.node] : [],
      );
      expect(joined).toEqual(expect.arrayContaining(['node3/service', 'node4/service']));
      await lab.nothingLeft();
    });

    it('serves a deployment until it is cancelled; --wait prints how it ended', async () => {
      const [file] = await lab.written(recipe);
      const job = await lab.apply(['-f', file, '--serve-only', '--wait', '--json']);
      const srtctl = (...args: string[]) =>
        run(process.execPath, [SRTCTL, ...args], { env: { ...process.env, ...lab.env } });
      await job.pointReached('benchmarking');
      const { stdout } = await srtctl('status', await job.jobDir());
      const [, url = ''] = /serving \S+ at (http:\S+)\/v1/.exec(stdout) ?? [];
      expect(stdout).toMatch(/tunnel {3}ssh -N -L /);
      const ask = `fetch('${url}/v1/models').then(({ status }) => console.log(status))`;
      expect(lab.control('exec', 'node1', process.execPath, '-e', ask)).toBe('200\n');
      await srtctl('cancel', await job.jobDir());
      expect(await job.ended(), job.stdout).toBe(0);
      const lines = job.stdout.trim().split('\n');
      expect(lines.map((line) => JSON.parse(line))).toEqual([
        expect.objectContaining({ kind: 'submitted', mode: 'slurm' }),
        expect.objectContaining({ kind: 'ended', exitCode: 0, outcome: 'served' }),
      ]);
      expect((await job.results())[0]).toMatchObject({ outcome: 'served', benchmark: { valid: null } });
      await lab.nothingLeft();
    });

    it('refuses a job above max_gpu_hours, and submits nothing', async () => {
      const [file, env] = await lab.written(recipe, 'max_gpu_hours: 0.5\n');
      const job = await lab.apply(['-f', file, '--wait'], env);
      expect(await job.ended(), job.stdout).toBe(2);
      expect(job.stderr).toContain('max_gpu_hours');
      expect(lab.slurm('squeue', '-h')).toBe('');
    });

    it('runs services alone, and ends with the worst exit code of those that are the run', async () => {
      const [file] = await lab.written(`name: lab-services
model: {path: test-model, container: repo/image:1, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 4}
frontend: {type: none}
services:
  - {name: train, command: [sh, -c, 'hostname; exit {index}'], nodes: 3, terminal: true}
  - {name: helper, command: [sleep, infinity], placement: {pool: train}}
slurm: {time_limit: "00:10:00"}
`);
      const job = await lab.apply(['-f', file, '--watch']);
      expect(await job.ended(), job.stderr + job.stdout).toBe(2);
      const log = join(await job.jobDir(), 'logs', 'service_train_node3.out');
      expect(await readFile(log, 'utf8')).toBe('node3\n');
      await lab.nothingLeft();
    });

    it('stops in good order on scancel, keeps its results, and is not requeued', async () => {
      const [file] = await lab.written(long);
      const job = await lab.apply(['-f', file, '--watch']);
      await job.pointReached('benchmarking');
      const id = (await job.jobDir()).split('/').at(-1) ?? '';
      lab.slurm('scontrol', 'requeue', id);
      lab.slurm('scancel', '--full', id);
      expect(await job.ended(), job.stdout).toBe(143);
      expect((await job.results())[0]).toMatchObject({ status: 'interrupted' });
      await lab.nothingLeft();
    });

    it('stops in good order when a job of a higher partition takes its nodes', async () => {
      const [file] = await lab.written(long);
      const job = await lab.apply(['-f', file, '--watch']);
      await job.pointReached('benchmarking');
      lab.slurm(
        'sbatch',
        '--nodes=4',
        '--exclusive',
        '--partition=urgent',
        '--output=/dev/null',
        '--wrap=true',
      );
      expect(await job.ended(), job.stdout).toBe(143);
      expect((await job.results())[0]).toMatchObject({ status: 'interrupted' });
      await lab.noJobs();
      await lab.nothingLeft();
    });

    it('runs with a time limit of a minute, and stops in good order before the limit', async () => {
      const [file] = await lab.written(long.replace('00:10:00', '00:01:00'));
      const job = await lab.apply(['-f', file, '--watch']);
      await job.pointReached('benchmarking');
      expect(await job.ended(), job.stdout).toBe(143);
      expect(job.stdout).toMatch(/time limit is near.*slurm\.time_limit/);
      expect((await job.results())[0]).toMatchObject({ status: 'interrupted' });
      await until('accounting', () => lab.completed().includes('TimeLimit=1 '));
      expect(lab.completed()).not.toContain('JobState=TIMEOUT');
      await lab.nothingLeft();
    });

    it('submits a job for each recipe of a directory; cancel removes a waiting job and stops a running one', async () => {
      const [file, config] = await lab.written(long, 'use_exclusive_sbatch_directive: true\n');
      const [other] = await lab.written(long.replace('name: lab', 'name: other'));
      await rename(other, join(dirname(file), 'other.yaml'));
      // Another job has all nodes but two.
      const theirs = lab
        .slurm('sbatch', '--parsable', '--nodes=2', '--exclusive', '--output=/dev/null', '--wrap=sleep 1000')
        .trim();
      const job = await lab.apply(['-f', dirname(file), '--json'], config);
      expect(await job.ended(), job.stderr).toBe(0);
      const ids = job.stdout
        .trim()
        .split('\n')
        .map((line) => submittedSchema.parse(JSON.parse(line)).jobId);
      expect(ids).toHaveLength(2);
      const srtctl = (...args: string[]) =>
        run(process.execPath, [SRTCTL, ...args, '--output', job.outputs], {
          env: { ...process.env, ...lab.env },
        });
      const [first = '', second = ''] = ids;
      await until(
        'the first to run',
        async () => (await srtctl('status', first, '--json')).stdout.includes('"state":"running"'),
        90_000,
      );
      const listed = (await srtctl('ls')).stdout;
      expect(listed).toMatch(new RegExp(`${second} .*lab.*pending`));
      expect((await srtctl('cancel', second)).stdout).toContain('was removed from the queue');
      expect((await srtctl('cancel', first)).stdout).toContain('has ended (exit code 143)');
      lab.slurm('scancel', '--full', theirs);
      await lab.nothingLeft();
    });

    it.each([
      [
        'without the Node runtime',
        (node: string) => lab.control('exec', 'node2', 'mount', '-t', 'tmpfs', 'x', dirname(node)),
        /node2.*Node runtime.*not there.*runtime/,
      ],
      [
        'of another architecture',
        (node: string) => {
          const uname = join(dirname(node), 'uname');
          execFileSync('cp', ['/bin/echo', uname]);
          lab.control('exec', 'node2', 'mount', '--bind', uname, '/usr/bin/uname');
        },
        /node2.*no Node runtime for -m.*runtime/,
      ],
    ])('ends with one line and a hint for a node %s', async (_what, spoil, line) => {
      const own = await lab.temporary('srtctl-node-');
      const node = join(own, 'node');
      await symlink(process.execPath, node);
      const [file, config] = await lab.written(recipe, `runtime: {x86_64: ${node}, aarch64: ${node}}\n`);
      try {
        spoil(node);
        const job = await lab.apply(['-f', file, '--watch'], config);
        expect(await job.ended()).toBe(1);
        expect((await job.state()).cause?.summary).toMatch(line);
        await lab.nothingLeft();
      } finally {
        for (const path of [own, '/usr/bin/uname'])
          lab.control('exec', 'node2', 'sh', '-c', 'umount "$1" 2>/dev/null || true', 'x', path);
      }
    });

    it('the doctor examines all nodes through one job, and finds the remains of an earlier job', async () => {
      const outputs = await lab.temporary('srtctl-out-');
      const left = spawn(
        resolve('test/slurm-lab/lab.sh'),
        ['exec', 'node3', 'env', 'SRTCTL_JOB=999', 'sleep', '600'],
        { env: { ...process.env, SRTCTL_LAB_DIR: lab.directory }, stdio: 'ignore' },
      );
      try {
        await until('the leftover', () => lab.leftOnNodes().some((line) => line.includes('sleep 600')));
        const command = [SRTCTL, 'doctor', '--all', '--json', '--output', outputs];
        const { stdout, code } = await run(process.execPath, command, {
          env: { ...process.env, ...lab.env },
        }).then(
          ({ stdout }) => ({ stdout, code: 0 }),
          (error: { stdout: string; code: number }) => error,
        );
        expect(code, stdout).toBe(1);
        const findings = stdout
          .trim()
          .split('\n')
          .map((line) => findingSchema.parse(JSON.parse(line)));
        expect(findings.filter(({ status }) => status === 'fail')).toEqual([
          { check: 'leftovers', where: 'node3', status: 'fail' },
        ]);
        for (const check of ['runtime', 'same srtctl', 'output_dir', 'clock'])
          expect(findings).toContainEqual({ check, where: lab.nodes.join(','), status: 'ok' });
        await until('accounting', () => lab.completed().includes('Name=srtctl-doctor'));
      } finally {
        lab.control('exec', 'node3', 'pkill', '-f', 'sleep 600');
        left.kill();
      }
    });

    it.each([
      ['a partition that is not there', 'slurm: {partition: none}', /partition/i],
      ['more nodes than there are', 'infra: {etcd_nats_dedicated_node: true}', /nodes/i],
    ])('reports in one line what to change for %s', async (_what, section, message) => {
      const text = section.startsWith('slurm')
        ? recipe.replace(/slurm: .*/, section)
        : `${recipe}${section}\n`;
      const [file] = await lab.written(
        section.startsWith('infra') ? text.replace('decode_nodes: 1', 'decode_nodes: 9') : text,
      );
      const job = await lab.apply(['-f', file]);
      expect(await job.ended()).toBe(2);
      expect(job.stderr.trim().split('\n').at(-1)).toMatch(message);
      expect(lab.slurm('squeue', '-h')).toBe('');
    });

    it('ends with the cause when an image cannot be imported', async () => {
      const [file, config] = await lab.written(
        recipe.replace('repo/image:1', 'refused/image:1'),
        'container_runtime: pyxis\n',
      );
      const job = await lab.apply(['-f', file, '--watch'], config);
      expect(await job.ended()).toBe(1);
      expect(job.stdout + job.stderr).toMatch(/failed to import docker image: refused\/image:1/);
      await lab.nothingLeft();
    });

    it('without agents, stops a program through its main process, which ends in its own time', async () => {
      const own = await lab.temporary('srtctl-client-');
      const [started, ended] = [join(own, 'started'), join(own, 'ended')];
      await writeFile(
        join(own, 'client.py'),
        `import pathlib, signal, sys, time
def end(*_):
    time.sleep(1)
    pathlib.Path("${ended}").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
pathlib.Path("${started}").touch()
while True: time.sleep(0.1)
`,
      );
      // If the shell ended first, Slurm would kill its other processes.
      const command = `python3 ${join(own, 'client.py')}; true`;
      const [file] = await lab.written(
        recipe.replace(/benchmark: .*/, `benchmark: {type: custom, command: '${command}'}`),
      );
      const job = await lab.apply(['-f', file, '--watch', '--no-use-orchestrator'], {
        SRTCTL_STATIC_POLL_SECONDS: '0.5',
      });
      await until('the program', () => existsSync(started), 90_000);
      await run(process.execPath, [SRTCTL, 'cancel', 'latest', '--output', job.outputs], {
        env: { ...process.env, ...lab.env },
      });
      expect(await job.ended(), job.stderr + job.stdout).toBe(143);
      expect(existsSync(ended)).toBe(true);
      await lab.nothingLeft();
    });

    it('runs without coordinator and agents, with a step for each process, and stops on cancel', async () => {
      const poll = { SRTCTL_STATIC_POLL_SECONDS: '0.5' };
      const quick = await lab.apply(
        ['-f', resolve('examples/quickstart.yaml'), '--watch', '--no-use-orchestrator'],
        poll,
      );
      expect(await quick.ended(), quick.stderr + quick.stdout).toBe(0);
      expect(await quick.state()).toMatchObject({ sweep: 'finished', exitCode: 0 });
      const points = join(await quick.jobDir(), 'points/00-quickstart');
      const figures = JSON.parse(await readFile(join(points, 'results_concurrency_8.json'), 'utf8'));
      expect(figures).toMatchObject({ completed: 48, failed: 0 });
      await lab.nothingLeft();

      const [file] = await lab.written(recipe.replace(/benchmark: .*/, 'benchmark: {type: manual}'));
      const manual = await lab.apply(['-f', file, '--watch', '--no-use-orchestrator'], poll);
      const up = async () =>
        (await manual.state().catch(() => undefined))?.points[0]?.state === 'benchmarking';
      await until('all is up', up, 90_000);
      const { stdout } = await run(
        process.execPath,
        [resolve('dist/srtctl.js'), 'cancel', 'latest', '--output', manual.outputs],
        { env: { ...process.env, ...lab.env } },
      );
      expect(stdout).toContain('has ended (exit code 143)');
      expect(await manual.ended()).toBe(143);
      await lab.nothingLeft();
    });

    // The commands around a worker, and the ranks of MPI launches.

    it('gives a worker every CPU and GPU of the job on its node, except those of other processes', async () => {
      const text = recipe
        .replace(/benchmark: .*/, "benchmark: {type: custom, command: 'sleep 1000'}")
        .replace('slurm:', 'sbatch_directives: {cpus-per-gpu: "2", mem-per-cpu: "100"}\nslurm:');
      const [file] = await lab.written(text);
      const job = await lab.apply(['-f', file, '--watch']);
      await job.pointReached('benchmarking');
      const [prefill] = around('node1', 'disaggregation-mode\0prefill');
      const decode = around('node2', 'disaggregation-mode\0decode');
      const all = around('node1', 'node.sh')[0]?.cpus;
      for (const worker of [prefill, ...decode]) expect(worker?.cpus).toBe(all);
      expect(decode.map(({ env }) => env.CUDA_VISIBLE_DEVICES).sort()).toEqual(['0,1', '2,3']);
      expect(prefill?.env.CUDA_VISIBLE_DEVICES ?? '0,1,2,3').toBe('0,1,2,3');
      for (const worker of [prefill, ...decode]) {
        const names = Object.keys(worker?.env ?? {});
        expect(names.filter((name) => /^SLURM|^SRUN_(?!DEBUG)|^PMI|^RANK$/.test(name))).toEqual([]);
      }
      lab.slurm('scancel', '--full', (await job.jobDir()).split('/').at(-1) ?? '');
      expect(await job.ended()).toBe(143);
      await lab.nothingLeft();
    });

    it('starts the ranks of TensorRT-LLM with one srun for each endpoint, and stops them in good order', async () => {
      const [file, config] = await lab.written(trtllm, 'container_runtime: pyxis\n');
      const job = await lab.apply(['-f', file, '--watch'], config);
      await job.pointReached('benchmarking');
      const jobId = (await job.jobDir()).split('/').at(-1) ?? '';
      const steps = lab.slurm('squeue', '-s', '-h', '-o', '%j', '-j', jobId).trim().split('\n');
      expect(steps.filter((name) => /-(prefill|decode)-\d-0-/.test(name))).toHaveLength(3);
      const nodes = ['node1', 'node2', 'node3'];
      const ranksNow = () => nodes.map((node) => around(node, 'mock-bin/trtllm-llmapi-launch'));
      // The launcher of an endpoint's first rank stays beside the engine.
      await until('all ranks', () => `${ranksNow().map((here) => here.length)}` === '4,4,4');
      const ranks = ranksNow();
      for (const { env } of ranks.flat()) {
        expect(env).toMatchObject({ SRTCTL_LAB_IMAGE: 'repo/image:1' });
        expect(env.SRTCTL_LAB_MOUNTS).toContain('/logs:/logs');
      }
      expect(ranks[0]?.map(({ env }) => env.CUDA_VISIBLE_DEVICES).sort()).toEqual([
        '0,1',
        '0,1',
        '2,3',
        '2,3',
      ]);
      expect(ranks[2]?.map(({ env }) => env.CUDA_VISIBLE_DEVICES)).toEqual(Array(4).fill('0,1,2,3'));
      lab.slurm('scancel', '--full', jobId);
      expect(await job.ended(), job.stdout).toBe(143);
      const log = await readFile(join(await job.jobDir(), 'logs/node2_decode_w0.out'), 'utf8');
      expect(log).toContain('SIGTERM received, shutting down');
      await lab.nothingLeft();
    });

    it('leaves no rank on any node when the agent that started the ranks is killed', async () => {
      const [file] = await lab.written(trtllm);
      const job = await lab.apply(['-f', file, '--watch']);
      await job.pointReached('benchmarking');
      const [agent] = around('node2', 'node-agent.js');
      lab.control('exec', 'node2', 'kill', '-9', `${agent?.pid}`);
      expect(await job.ended()).toBe(1);
      await lab.nothingLeft();
    });

    it('goes on with the benchmark when its coordinator is killed', async () => {
      const [file] = await lab.written(recipe.replace('num_prompts_mult: 4', 'num_prompts_mult: 400'));
      const job = await lab.apply(['-f', file, '--watch']);
      await job.pointReached('benchmarking');
      await job.reached('benchmark', 'ready');
      const { coordinatorPid, home } = await job.state();
      lab.control('exec', home?.host ?? '', 'kill', '-9', `${coordinatorPid}`);
      expect(await job.ended(), job.stderr + job.stdout).toBe(0);
      expect(await job.state()).toMatchObject({ epoch: 2, sweep: 'finished', exitCode: 0 });
      expect((await job.results())[0]).toMatchObject({ status: 'done', benchmark: { valid: true } });
      for (const id of ['prefill-0-0', 'decode-0-0', 'benchmark'])
        expect((await job.transitions(id)).filter(({ from }) => from === 'preparing')).toHaveLength(1);
      await lab.nothingLeft();
    });

    it('starts a new agent for a killed one, and runs the next point', async () => {
      const text = recipe
        .replace('num_prompts_mult: 4', 'num_prompts_mult: 200')
        .replace('osl: 32', 'osl: "{osl}"');
      const [file] = await lab.written(`${text}sweep: {osl: [16, 32]}\n`);
      const job = await lab.apply(['-f', file, '--watch']);
      await job.pointReached('benchmarking');
      const { node } = await job.reached('decode-0-0', 'ready');
      const agent = lab
        .control('exec', node, 'ps', '-e', '-o', 'pid=,args=')
        .split('\n')
        .find((line) => line.includes('node-agent.js') && !line.includes('/bin/sh'));
      lab.control('exec', node, 'kill', '-9', `${Number.parseInt(agent ?? '', 10)}`);
      expect(await job.ended(), job.stderr + job.stdout).not.toBe(0);
      expect((await job.results()).map(({ status }) => status)).toEqual(['failed', 'done']);
      expect((await job.results())[0]).toMatchObject({ cause: { node } });
      await lab.nothingLeft();
    });

    it.skipIf(!pidNamespaces)(
      'ends the processes of a frozen agent before another one replaces it, also in a namespace',
      async () => {
        // Long enough to notice the silence before the benchmark has ended, also on an idle machine.
        const text = recipe
          .replace('num_prompts_mult: 4', 'num_prompts_mult: 800')
          .replace('osl: 32', 'osl: "{osl}"');
        const more = 'sweep: {osl: [16, 32]}\nsupervision: {lease: 5, pid_namespace: true}\n';
        const [file] = await lab.written(`${text}${more}`);
        const job = await lab.apply(['-f', file, '--watch']);
        await job.pointReached('benchmarking');
        const { node } = await job.reached('decode-0-0', 'ready');
        const engines = () => around(node, 'sglang').map(({ pid, env }) => `${pid} ${env.SRTCTL_AGENT}`);
        const before = engines();
        expect(before).not.toEqual([]);
        // unshare(1), and the agent in its namespace.
        const agent = around(node, 'node-agent.js').at(-1);
        lab.control('exec', node, 'kill', '-STOP', `${agent?.pid}`);
        await until(
          'the next point',
          async () =>
            (await job.events()).some(
              (event) =>
                event.kind === 'point.transition' && event.ordinal === 1 && event.to === 'benchmarking',
            ),
          60_000,
        );
        expect(engines().filter((engine) => before.includes(engine))).toEqual([]);
        await job.ended();
        expect((await job.results()).map(({ status }) => status)).toEqual(['failed', 'done']);
        await lab.nothingLeft();
      },
    );

    it('names an agent that was killed before its hello, without the wait for those that may still come', async () => {
      const killer = join(await lab.temporary('srtctl-killer-'), 'killer.cjs');
      const isIt = "process.argv[1]?.endsWith('node-agent.js') && process.argv[3] === 'node2'";
      await writeFile(killer, `if (${isIt}) process.kill(process.pid, 'SIGKILL');\n`);
      await chmod(dirname(killer), 0o755);
      const [file] = await lab.written(recipe);
      const job = await lab.apply(['-f', file, '--watch'], { NODE_OPTIONS: `--require=${killer}` });
      expect(await job.ended(), job.stdout).toBe(1);
      expect(await job.state()).toMatchObject({
        cause: { node: 'node2', summary: expect.stringContaining('ended by SIGKILL') },
      });
      await lab.nothingLeft();
    });

    it('tries the point again on a spare node when one is powered off', async () => {
      const text = recipe
        .replace('num_prompts_mult: 4', 'num_prompts_mult: 600')
        .replace('resources: {', 'resources: {spare_nodes: 1, ');
      const [file] = await lab.written(`${text}supervision: {lease: 8}\n`);
      const job = await lab.apply(['-f', file, '--watch']);
      await job.pointReached('benchmarking');
      const { node } = await job.reached('decode-0-0', 'ready');
      lab.control('kill', node);
      try {
        expect(await job.ended(), job.stderr + job.stdout).toBe(0);
        expect((await job.results())[0]).toMatchObject({ status: 'done', benchmark: { valid: true } });
        expect((await job.transitions('decode-0-0')).findLast(({ to }) => to === 'ready')?.node).not.toBe(
          node,
        );
      } finally {
        lab.control('start', node);
      }
    });

    it('gives up a node that is off before any agent starts, when there is a spare node', async () => {
      const [file] = await lab.written(recipe.replace('resources: {', 'resources: {spare_nodes: 1, '));
      const outputs = await lab.temporary('srtctl-out-');
      const command = ['apply', '-f', file, '--mock', '--output', outputs];
      // Slurm chooses the nodes; the second one of the allocation is no head node.
      const off = `${LAB} kill "$(scontrol show hostnames "$SLURM_JOB_NODELIST" | sed -n 2p)" && exec "$@"`;
      let without: string | undefined;
      try {
        const { stdout } = await run(
          'salloc',
          ['-N3', '--no-kill', '--quiet', 'sh', '-c', off, 'sh', process.execPath, SRTCTL, ...command],
          { env: { ...process.env, ...lab.env, SRTCTL_LAB_DIR: lab.directory } },
        );
        without = /goes on without (node\d+)/.exec(stdout)?.[1];
        expect(without, stdout).toBeDefined();
        expect(stdout).toContain('done');
      } finally {
        lab.control('start', without ?? 'node2');
      }
      await lab.nothingLeft();
    });

    it('ends in Slurm when its head node is powered off, and names that node', async () => {
      const [file] = await lab.written(`${long}supervision: {lease: 5}\n`);
      const job = await lab.apply(['-f', file]);
      expect(await job.ended(), job.said).toBe(0);
      await job.pointReached('benchmarking');
      const head = (await job.state()).home?.host ?? '';
      const srtctl = (...args: string[]) => answerOf(job, args);
      lab.control('kill', head);
      try {
        const jobId = await job.jobId();
        await until(
          'why to know',
          async () => (await srtctl('why', jobId)).stdout.includes(`head node ${head}`),
          90_000,
        );
        await until(
          'the end of the job',
          async () => /CG|^$/.test(lab.slurm('squeue', '-h', '-o', '%t').trim()),
          120_000,
        );
        expect((await srtctl('why', jobId)).stdout).toContain(head);
        expect((await srtctl('cancel', jobId)).exitCode).toBe(0);
      } finally {
        lab.control('start', head);
      }
      await lab.nothingLeft();
    });

    it('is found by its comment when slurmctld accepts it and answers too late', async () => {
      const [file] = await lab.written(recipe);
      process.kill(slurmctld(), 'SIGSTOP');
      const job = await lab.apply(['-f', file, '--watch']);
      try {
        await until('sbatch', () => sbatchesOf(job).length > 0);
        await until('the end of sbatch', () => sbatchesOf(job).length === 0, 120_000);
      } finally {
        process.kill(slurmctld(), 'SIGCONT');
      }
      expect(await job.ended(), job.said).toBe(0);
      expect((await job.results())[0]).toMatchObject({ status: 'done', benchmark: { valid: true } });
      await until('accounting', () => lab.completed().includes('JobState=COMPLETED'));
      await lab.noJobs();
    });

    it('starts nothing on nodes where another job has its ports, and names that job', async () => {
      const [file] = await lab.written(recipe);
      const [first] = await lab.written(long);
      const outputs = await lab.temporary('srtctl-out-');
      // Two runs in one allocation share its nodes. The first one writes a file when it measures.
      const script = `"$1" "$2" apply -f "$3" --mock --output "$5" >"$5.first" 2>&1 & first=$!
until grep -q benchmarking "$5.first"; do sleep 0.2; done
"$1" "$2" apply -f "$4" --mock --output "$5"; echo "exit code $?"
kill -TERM $first; wait $first`;
      const command = ['sh', '-c', script, 'sh', process.execPath, SRTCTL, first, file, outputs];
      const answer = run('salloc', ['-N2', '--quiet', ...command], { env: { ...process.env, ...lab.env } });
      // The shell ends with the first run's exit code.
      const { stdout } = await answer.catch((error: { stdout: string }) => error);
      await rm(`${outputs}.first`, { force: true });
      expect(stdout).toContain('exit code 1');
      const [id = ''] = (await readdir(outputs)).sort();
      expect(stdout).toMatch(new RegExp(`port \\d+ .*is taken by pid \\d+ .*job ${id}`));
      const why = await run(process.execPath, [SRTCTL, 'why', `${id}-2`, '--output', outputs], {
        env: { ...process.env, ...lab.env },
      });
      expect(why.stdout).toContain(`job ${id}`);
      expect(why.stdout).not.toContain('NCCL');
      await lab.nothingLeft();
    });

    it('resumes a cancelled sweep: existing results stay unchanged, and a new job runs the rest', async () => {
      const text = recipe.replace('num_prompts_mult: 4', 'num_prompts_mult: "{n}"');
      const [file] = await lab.written(`${text}sweep: {n: [4, 300]}\n`);
      const job = await lab.apply(['-f', file, '--watch']);
      await until(
        'the second point',
        async () =>
          (await job.events()).some(
            (event) =>
              event.kind === 'point.transition' && event.ordinal === 1 && event.to === 'benchmarking',
          ),
        90_000,
      );
      const before = await job.jobDir();
      lab.slurm('scancel', '--full', before.split('/').at(-1) ?? '');
      expect(await job.ended(), job.stderr + job.stdout).toBe(143);
      await lab.noJobs();
      const env = { ...process.env, ...lab.env, SRTCTL_SIM_SPEED: '100', SRTCTL_OUTPUT: job.outputs };
      const srtctl = (...args: string[]) => run(process.execPath, [SRTCTL, ...args], { env });
      const results = async (jobDir: string): Promise<string[]> => {
        const points = join(jobDir, 'points');
        const files = (await readdir(points)).sort().map((name) => join(points, name, 'result.json'));
        return Promise.all(files.map((each) => readFile(each, 'utf8')));
      };
      expect((await srtctl('resume', before, '--watch')).stdout).toContain('1 points have a result');
      const jobs = (await readdir(job.outputs)).map((name) => join(job.outputs, name));
      const after = jobs.find((dir) => dir !== before) ?? '';
      const [[first], [kept, second]] = await Promise.all([results(before), results(after)]);
      expect(kept).toBe(first);
      expect(JSON.parse(second ?? '')).toMatchObject({ ordinal: 1, status: 'done' });
      expect((await srtctl('apply', '--mock', '-f', file)).stdout).toContain('already has a valid result');
      expect(await readdir(job.outputs)).toHaveLength(jobs.length);
      await lab.nothingLeft();
    });
  },
);
