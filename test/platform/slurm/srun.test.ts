import { describe, expect, it } from 'vitest';
import { stepEnvironment } from '../../../src/platform/containers/step-environment.ts';
import { runtimesOf, spareRuntimesOf } from '../../../src/platform/runtimes.ts';
import { agentLauncher } from '../../../src/platform/slurm/agent-launcher.ts';
import { type AgentStep, agentStepArgs } from '../../../src/platform/slurm/srun.ts';
import { cluster } from '../../recipe/write.ts';

const step = (over: Partial<AgentStep> = {}): string[] =>
  agentStepArgs({
    nodes: ['n1', 'n2'],
    everyNode: true,
    hetGroups: 1,
    output: '/logs/%N_agent.out',
    jobName: 'srtctl-agents',
    container: null,
    options: {},
    command: ['agent'],
    ...over,
  });

describe('the srun of the agents', () => {
  it('uses all resources of the job on each node, and outlives a node or an agent', () => {
    const args = step();
    for (const option of [
      ...['--overlap', '--no-kill', '--wait=0', '--kill-on-bad-exit=0', '--mpi=none', '--cpu-bind=none'],
      ...['--mem=0', '--ntasks-per-node=1', '--nodes=2', '--ntasks=2', '--nodelist=n1,n2'],
    ])
      expect(args).toContain(option);
    expect(args.at(-1)).toBe('agent');
    expect(args.join(' ')).not.toContain('container');
  });

  it('gives pyxis the image and the mounts', () => {
    const args = step({ container: { image: '/images/a.sqsh', mounts: ['/m:/model', '/l:/logs'] } });
    expect(args).toEqual(
      expect.arrayContaining([
        '--container-image=/images/a.sqsh',
        '--container-mounts=/m:/model,/l:/logs',
        '--no-container-entrypoint',
        '--no-container-mount-home',
      ]),
    );
  });

  it('spans all components of a heterogeneous job', () => {
    const args = step({ hetGroups: 2 });
    expect(args).toContain('--het-group=0-1');
    expect(args.join(' ')).not.toMatch(/--nodes|--ntasks=|--nodelist/);
  });

  it('accepts the recipe’s srun_options, except those that the agents depend on', () => {
    const args = step({ options: { 'container-writable': '', network: 'sharp', mpi: 'pmix', wait: '30' } });
    expect(args).toEqual(expect.arrayContaining(['--container-writable', '--network=sharp', '--mpi=none']));
    expect(args).toContain('--wait=0');
    expect(args).not.toContain('--mpi=pmix');
  });

  it('has the CPUs and the memory of a role or service that it is for alone', () => {
    const own = { mem: '100G', 'cpus-per-task': '4', mpi: 'pmix' };
    const args = step({ options: { mem: '1', 'cpu-bind': 'cores' }, own });
    expect(args).toEqual(expect.arrayContaining(['--mem=100G', '--cpus-per-task=4', '--mpi=none']));
    expect(args.join(' ')).not.toContain('--cpu-bind');
    expect(step({ own: { ...own, 'cpu-bind': 'cores' } })).toContain('--cpu-bind=cores');
    expect(step({ options: { mem: '1' } })).toEqual(expect.arrayContaining(['--mem=0', '--cpu-bind=none']));
  });

  it('does not get the variables that sbatch sets for the job’s own tasks', () => {
    const env = {
      SLURM_JOB_ID: '1',
      SLURM_MEM_PER_CPU: '4',
      SLURM_NTASKS: '8',
      SRUN_CPUS_PER_TASK: '2',
      HOME: '/h',
    };
    expect(stepEnvironment(env)).toEqual({ SLURM_JOB_ID: '1', HOME: '/h' });
  });
});

describe('the Node of a job', () => {
  const here = { arch: 'x64', nodeBinary: '/usr/bin/node', exists: () => false };
  const brought = (path: string) => path === '/opt/srtctl/.srtctl/node/aarch64/bin/node';

  it('is the current one when no other is installed', () => {
    expect(runtimesOf(cluster({}), '/opt/srtctl/dist', here)).toEqual({ x86_64: '/usr/bin/node' });
  });

  it('is the installed one for other architectures, and the one that srtslurm.yaml names comes first', () => {
    expect(runtimesOf(cluster({}), '/opt/srtctl/dist', { ...here, exists: brought })).toEqual({
      x86_64: '/usr/bin/node',
      aarch64: '/opt/srtctl/.srtctl/node/aarch64/bin/node',
    });
    const config = cluster({ runtime: { aarch64: '/shared/node' } });
    expect(runtimesOf(config, '/opt/srtctl/dist', { ...here, exists: () => true })).toMatchObject({
      x86_64: '/usr/bin/node',
      aarch64: '/shared/node',
    });
  });

  it('the installed one for the own architecture is the fallback, unless srtslurm.yaml names one', () => {
    const exists = () => true;
    expect(spareRuntimesOf(cluster({}), '/opt/srtctl/dist', { ...here, exists })).toEqual({
      x86_64: '/opt/srtctl/.srtctl/node/x86_64/bin/node',
    });
    const named = cluster({ runtime: { x86_64: '/mine' } });
    expect(spareRuntimesOf(named, '/opt/srtctl/dist', { ...here, exists })).toEqual({});
    expect(spareRuntimesOf(cluster({}), '/opt/srtctl/dist', here)).toEqual({});
  });
});

it('the launcher keeps its arguments as words, with any characters', () => {
  const argv = agentLauncher({
    configDir: "/a dir/$(it)'s",
    suffix: '/nginx',
    pidNamespace: false,
    tmpDir: '/tmp/job-node',
    stopDirs: '/tmp/job-stop',
    agentScript: '/dist/node-agent.js',
    runtimes: { x86_64: '/node', aarch64: '/arm/node' },
  });
  expect(argv.slice(0, 2)).toEqual(['/bin/sh', '-c']);
  expect(argv.slice(3)).toEqual([
    ...['srtctl-agent', "/a dir/$(it)'s", '/nginx', '/dist/node-agent.js', ''],
    ...['/tmp/job-node', '/tmp/job-stop'],
    ...['x86_64', '/node', 'aarch64', '/arm/node'],
  ]);
  expect(argv[2]).not.toContain('/a dir');
});
