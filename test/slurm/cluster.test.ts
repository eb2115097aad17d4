import { execFile } from 'node:child_process';
import { chown, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { until } from '../support/bus.ts';
import { inspecting, recipe, seenBy, useLab } from './lab.ts';

const lab = useLab(4);
const run = promisify(execFile);
const SRTCTL = resolve('dist/srtctl.js');

describe.skipIf(lab.why !== '')(
  `on a Slurm cluster${lab.why === '' ? '' : ` (there is none: ${lab.why})`}`,
  { timeout: 120_000 },
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
      await until('accounting', async () => lab.completed().includes('Name=quickstart'), 10_000);
      expect(lab.completed()).toContain('JobState=COMPLETED');
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

    it("gives pyxis the image and the mounts, and nginx's image agents of its own", async () => {
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
    });

    it('runs in both components of a heterogeneous job', async () => {
      const [file] = await lab.written(recipe.replace('{gpu_type', '{het_jobs: true, gpu_type'));
      const job = await lab.apply(['-f', file, '--watch']);
      expect(await job.ended(), job.stderr + job.stdout).toBe(0);
      await lab.nothingLeft();
    });

    it('runs in the allocation of the shell, which goes on when the run is over', async () => {
      const [file] = await lab.written(recipe);
      const outputs = await lab.temporary('srtctl-out-');
      const command = [SRTCTL, 'apply', '-f', file, '--mock', '--output', outputs];
      const { stdout } = await run('salloc', ['-N2', '--quiet', process.execPath, ...command], {
        env: { ...process.env, ...lab.env },
      });
      expect(stdout).toContain('done');
      await lab.nothingLeft();
    });

    it('stops in good order on scancel, and keeps what it has', async () => {
      const [file] = await lab.written(recipe.replace('num_prompts_mult: 4', 'num_prompts_mult: 4000'));
      const job = await lab.apply(['-f', file, '--watch']);
      await job.pointReached('benchmarking');
      lab.slurm('scancel', '--full', (await job.jobDir()).split('/').at(-1) ?? '');
      expect(await job.ended(), job.stdout).toBe(143);
      await lab.nothingLeft();
    });

    it.each([
      ['a partition that is not there', 'slurm: {partition: none}', /partition/i],
      ['more nodes than there are', 'infra: {etcd_nats_dedicated_node: true}', /nodes/i],
    ])('says in one line what to change for %s', async (_what, section, message) => {
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

    it('runs without coordinator and agents, a step for each process, and stops on cancel', async () => {
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
      await until('all is up', up, 40_000);
      const { stdout } = await run(
        process.execPath,
        [resolve('dist/srtctl.js'), 'cancel', 'latest', '--output', manual.outputs],
        { env: { ...process.env, ...lab.env } },
      );
      expect(stdout).toContain('is over (exit code 143)');
      expect(await manual.ended()).toBe(143);
      await lab.nothingLeft();
    });
  },
);
