import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { MpiLauncher } from '../../../src/messages/spec/launch-settings.ts';
import { type MpiStart, mpiCommand, mpiSignal } from '../../../src/platform/containers/mpi.ts';

const srun: Extract<MpiLauncher, { kind: 'srun' }> = {
  kind: 'srun',
  mpi: 'pmix',
  pyxisMounts: ['/m:/model', '/out:/out'],
  options: {},
  components: [['n1', 'n2', 'n3']],
};
const launch = (over: Partial<MpiStart> = {}): string[] =>
  mpiCommand({
    launcher: srun,
    tasks: 16,
    nodes: ['n2', 'n3'],
    image: '/images/trt.sqsh',
    name: 'srtctl-7-n2-decode-0-0-1',
    env: {},
    gpus: [4, 5],
    distDir: '/dist',
    argv: ['trtllm-llmapi-launch', 'serve'],
    ...over,
  });

describe('an MPI launch', () => {
  it('is one srun with a task for each GPU, in a container of pyxis, whose ranks end together', () => {
    expect(launch()).toEqual([
      ...['srun', '--container-image=/images/trt.sqsh', '--container-mounts=/m:/model,/out:/out'],
      ...[
        '--no-container-entrypoint',
        '--no-container-mount-home',
        '--mpi=pmix',
        '--overlap',
        '--mem=0',
        '--cpu-bind=none',
      ],
      ...['--nodes=2', '--ntasks=16', '--ntasks-per-node=8', '--nodelist=n2,n3', '--kill-on-bad-exit=1'],
      ...['--wait=15', '--input=none', '--job-name=srtctl-7-n2-decode-0-0-1'],
      // Slurm starts its tasks itself, so each task sets the mark itself.
      ...['/bin/sh', '-c', expect.stringContaining('ulimit'), 'srtctl-rank'],
      ...['trtllm-llmapi-launch', '/bin/sh', '/dist/steps/end-with-server.sh', 'serve'],
    ]);
  });

  it('fills the nodes but the last one, where the tasks are not the same on each', () => {
    expect(launch({ tasks: 6, gpus: [0, 1, 2, 3] })).toEqual(
      expect.arrayContaining(['--ntasks=6', '--ntasks-per-node=4', '--distribution=plane=4']),
    );
    expect(launch({ tasks: 6, gpus: [0, 1, 2] }).join(' ')).not.toContain('--distribution');
  });

  it('accepts the recipe’s srun_options, except those that it depends on', () => {
    const options = { 'container-writable': '', wait: '0' };
    expect(launch({ launcher: { ...srun, options } })).toEqual(
      expect.arrayContaining(['--container-writable', '--wait=15']),
    );
  });

  it('chooses the devices of its ranks among those that Slurm gives the step, when the plan counts them', () => {
    const argv = launch({ env: { CUDA_VISIBLE_DEVICES: '4,5', SECRET: 'x' }, argv: ['env'] });
    expect(argv.slice(-3)).toEqual(['srtctl-devices', '4,5', 'env']);
    expect(argv.join(' ')).not.toContain('SECRET');
    const command = argv.slice(argv.indexOf('/bin/sh'));
    const seen = (given: string) =>
      /^CUDA_VISIBLE_DEVICES=(.*)$/m.exec(
        spawnSync(command[0] ?? '', command.slice(1), {
          env: { PATH: process.env.PATH, CUDA_VISIBLE_DEVICES: given },
          encoding: 'utf8',
        }).stdout,
      )?.[1];
    expect(seen('8,9,10,11,12,13')).toBe('12,13');
    expect(seen('GPU-a,GPU-b,GPU-c,GPU-d,MIG-e/1/0,GPU-f')).toBe('MIG-e/1/0,GPU-f');
    // A list that is too short is ignored.
    expect(seen('0')).toBe('4,5');
  });

  it('gives its ranks the devices that the recipe names', () => {
    const argv = launch({ env: { CUDA_VISIBLE_DEVICES: '7' }, argv: ['serve'] });
    expect(argv.slice(-4)).toEqual(['env', '--', 'CUDA_VISIBLE_DEVICES=7', 'serve']);
  });

  it('does not change the launcher when the path of the programs has blanks, because the launcher would split it', () => {
    expect(launch({ distDir: '/my programs' }).slice(-2)).toEqual(['trtllm-llmapi-launch', 'serve']);
  });

  it('is in the component of a heterogeneous job that contains its nodes', () => {
    expect(launch({ launcher: { ...srun, components: [['n1'], ['n2', 'n3']] } })).toContain('--het-group=1');
  });

  it('has no container of pyxis without an image', () => {
    expect(launch({ launcher: { ...srun, pyxisMounts: null } }).join(' ')).not.toContain('container');
  });

  it('is stopped through Slurm, because srun itself would kill its ranks', () => {
    expect(mpiSignal(srun, 'TERM', 'name', '/dist')).toEqual([
      ...['/bin/sh', '/dist/steps/signal-step.sh', 'TERM', 'name'],
    ]);
    expect(mpiSignal({ kind: 'stand-in', program: ['x'] }, 'TERM', 'name', '/dist')).toBeUndefined();
  });

  it('has ended when Slurm no longer has the step, even when squeue fails now and then', () => {
    const dir = mkdtempSync(join(tmpdir(), 'srtctl-step-'));
    try {
      // The third request finds the step, the fourth fails, and the fifth finds no step.
      const squeue = `#!/bin/bash
echo x >>"$DIR/looks"
case $(wc -l <"$DIR/looks") in
  1 | 2 | 3) echo '7.1|other'; echo '7.2|name' ;;
  4) exit 1 ;;
esac
`;
      const scancel = '#!/bin/bash\necho "$@" >>"$DIR/ended"\n';
      for (const [name, text] of Object.entries({ squeue, scancel }))
        writeFileSync(join(dir, name), text, { mode: 0o755 });
      const script = resolve('src/steps/signal-step.sh');
      const env = { ...process.env, DIR: dir, PATH: `${dir}:${process.env.PATH}` };
      expect(spawnSync('/bin/sh', [script, 'TERM', 'name'], { env }).status).toBe(0);
      expect(spawnSync('/bin/sh', [script, 'KILL', 'name'], { env }).status).toBe(0);
      expect(readFileSync(join(dir, 'ended'), 'utf8')).toBe('--signal=TERM 7.2\n7.2\n');
      expect(readFileSync(join(dir, 'looks'), 'utf8')).toHaveLength(10);
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});
