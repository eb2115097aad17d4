import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import * as z from 'zod';
import { marked, portsTaken } from '../../src/doctor/node-looks.ts';
import { ownerMark } from '../../src/os/processes/owner-mark.ts';
import { small } from '../recipe/write.ts';

const root = mkdtempSync(join(tmpdir(), 'srtctl-doctor-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const findingSchema = z.object({
  check: z.string(),
  where: z.string(),
  status: z.string(),
  text: z.string(),
  advice: z.string().nullable(),
});

/** A stand-in for Slurm: two idle nodes and a drained one; srun runs its command here, once for each node. */
const SLURM: Readonly<Record<string, string>> = {
  sinfo: `case "$*" in
  *--version*) echo 'slurm 23.02' ;;
  *%N*) printf 'n1|idle|none|batch*\\nn2|idle|none|batch*\\nn3|drained|bad fan|batch*\\n' ;;
  *%a*) echo 'batch*|up|1-00:00:00|0/2/1/3' ;;
  *) echo 'batch*' ;;
esac`,
  sbatch: 'cat >"$0.script"; echo "sbatch: Job 5 to start" >&2',
  srun: `case "$*" in *--help*) echo '  --container-image=[USER@]' && exit ;; esac
nodes=
while :; do
  case $1 in --nodelist=*) nodes=\${1#*=} ;; --*) ;; *) break ;; esac
  shift
done
for SLURMD_NODENAME in $(echo "$nodes" | tr , ' '); do export SLURMD_NODENAME; "$@"; done`,
  sacct: 'exit 1',
  squeue: 'exit 0',
};

let cwd: string;
let bin: string;
beforeEach(() => {
  cwd = mkdtempSync(join(root, 'c-'));
  bin = join(cwd, 'bin');
  mkdirSync(bin);
});

function standIn(name: string, script: string): void {
  writeFileSync(join(bin, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(bin, name), 0o755);
}

function doctor(
  args: string[] = [],
  options: { slurm?: boolean; cluster?: string; command?: 'doctor' | 'preflight' } = {},
) {
  if (options.slurm !== false) for (const [name, script] of Object.entries(SLURM)) standIn(name, script);
  if (options.cluster !== undefined) writeFileSync(join(cwd, 'srtslurm.yaml'), options.cluster);
  // Real Slurm commands may be in /usr/bin; the stand-ins only need the shell's own tools.
  for (const tool of ['cat', 'tr', 'uname', 'sh', 'env'])
    if (!readdirSync(bin).includes(tool)) standIn(tool, `exec /usr/bin/${tool} "$@"`);
  const env = { HOME: cwd, PATH: `${bin}:${dirname(process.execPath)}/none`, NO_COLOR: '1' };
  const command = [resolve('dist/srtctl.js'), options.command ?? 'doctor', ...args];
  const { status, stdout, stderr } = spawnSync(process.execPath, command, { cwd, env, encoding: 'utf8' });
  const findings = args.includes('--json')
    ? stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => findingSchema.parse(JSON.parse(line)))
    : [];
  const of = (check: string, where?: string) =>
    findings.filter((each) => each.check === check && (where === undefined || each.where === where));
  return { status, stdout, stderr, findings, of };
}

const CLUSTER = 'default_partition: batch\ndefault_time_limit: "01:00:00"\noutput_dir: outputs\n';

describe('srtctl doctor', () => {
  it('without Slurm reports that, and what works without it', () => {
    const { status, stdout } = doctor([], { slurm: false });
    expect(stdout).toMatch(/warn +slurm +slurm +no Slurm here.*\n +→ .*--local/);
    expect(status).toBe(0);
    expect(doctor(['--all'], { slurm: false }).status).toBe(1);
  });

  it('accepts a healthy cluster of stand-ins, and checks all idle nodes in one job', () => {
    const { status, of, findings, stderr } = doctor(['--all', '--json'], { cluster: CLUSTER });
    expect(stderr).toBe('');
    expect(of('partition')[0]).toMatchObject({ status: 'ok', text: expect.stringContaining('2 idle') });
    expect(of('state')).toEqual([expect.objectContaining({ where: 'n3', status: 'warn' })]);
    for (const check of ['runtime', 'same srtctl', 'clock'])
      expect(of(check, 'n1,n2')[0], check).toMatchObject({ status: 'ok' });
    expect(of('output_dir', 'n1,n2')[0]).toMatchObject({ status: 'ok' });
    expect(readdirSync(join(cwd, 'outputs'))).toEqual([]);
    // Other tests that run now, and how full the disk is, must not affect this test.
    const ofThisMachine = ['leftovers', 'free space', 'nats-server', 'programs'];
    const failed = findings.filter((each) => each.status === 'fail');
    expect(failed.filter(({ check }) => !ofThisMachine.includes(check))).toEqual([]);
    expect(status).toBe(failed.length === 0 ? 0 : 1);
  });

  it('names the problems of srtslurm.yaml, Slurm and a node, and fails', () => {
    const { status, of } = doctor(['--json', '--node', 'n[1,9]', '--model', '/not/there'], {
      cluster: `${CLUSTER.replace('batch', 'gone')}containers: {sglang: /not/there.sqsh}\nnetwork_interface: ib9\n`,
    });
    expect(status).toBe(1);
    expect(of('aliases')[0]).toMatchObject({ status: 'warn', text: expect.stringContaining('sglang') });
    expect(of('partition')[0]?.text).toMatch(/no partition gone/);
    expect(of('state', 'n9')[0]?.status).toBe('fail');
    expect(of('models', 'n1')[0]?.text).toMatch(/ENOENT/);
    expect(of('network', 'n1')[0]?.text).toMatch(/ib9/);
  });

  it('reports why sbatch would refuse a job, and what to change', () => {
    for (const [name, script] of Object.entries(SLURM)) standIn(name, script);
    standIn('sbatch', 'echo "sbatch: error: Invalid account or account/partition combination" >&2; exit 1');
    const { status, stdout } = doctor([], { slurm: false, cluster: CLUSTER });
    expect(stdout).toMatch(/fail +sbatch .*Invalid account.*\n +→ .*slurm\.partition|slurm\.account/);
    expect(status).toBe(1);
  });

  it('reports a node without a Node runtime for its architecture', () => {
    standIn('uname', 'echo riscv64');
    const { of } = doctor(['--json', '--node', 'n1'], { cluster: CLUSTER });
    expect(of('runtime', 'n1')[0]).toMatchObject({
      status: 'fail',
      text: 'no Node runtime for riscv64',
      advice: expect.stringContaining('runtime.riscv64'),
    });
  });

  it('reports a srtslurm.yaml that cannot be read', () => {
    const { status, of } = doctor(['--json'], { cluster: 'default_partitoin: x\n' });
    expect(of('srtslurm.yaml')).toHaveLength(1);
    expect(of('srtslurm.yaml')[0]?.text).toMatch(/default_partitoin/);
    expect(status).toBe(1);
  });

  it('reports what apply would refuse in a recipe, and exits as apply does', () => {
    writeFileSync(join(cwd, 'recipe.yaml'), `${small}sbatch_directives: {mem: 0, mem-per-gpu: 1G}\n`);
    const { status, of } = doctor(['--json', '-f', 'recipe.yaml'], { cluster: CLUSTER });
    expect(of('recipe')[0]).toMatchObject({ status: 'fail', text: expect.stringContaining('/models/m') });
    expect(status).toBe(2);
  });

  it('refuses --all together with --node', () => {
    expect(doctor(['--all', '--node', 'n1']).status).toBe(2);
  });
});

it('finds which ports are in use', async () => {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, listening));
  const address = server.address();
  const port = typeof address === 'object' && address ? address.port : 0;
  try {
    expect(await portsTaken([port])).toEqual([port]);
  } finally {
    server.close();
  }
});

it('finds processes that cleared their environment by their limits, and none of another user', async () => {
  const owner = spawn('sleep', ['1000']);
  const hard = ownerMark(owner.pid ?? 0, 'agent') ?? 0n;
  owner.kill('SIGKILL');
  await once(owner, 'exit');
  const proc = mkdtempSync(join(root, 'proc-'));
  const process_ = (pid: number, files: Readonly<Record<string, string>>): void => {
    mkdirSync(join(proc, String(pid)));
    const limits = `Max file locks            ${hard - 1n}  ${hard}  locks\n`;
    for (const [name, text] of Object.entries({ cmdline: 'sglang::scheduler\0', limits, ...files }))
      writeFileSync(join(proc, String(pid), name), text);
  };
  process_(11, { environ: '' });
  process_(12, { environ: 'SRTCTL_JOB=7\0' });
  process_(13, { environ: 'HOME=/x\0', limits: 'Max file locks  unlimited  unlimited  locks\n' });
  // The kernel shows the limits of another user's process, but not its environment.
  process_(14, {});
  const found = await marked(proc);
  expect(found.map(({ pid, job }) => [pid, job])).toEqual([
    [11, null],
    [12, '7'],
  ]);
});

describe('srtctl preflight', () => {
  const write = (image: string) => {
    const model = join(cwd, 'model');
    mkdirSync(model);
    writeFileSync(join(model, 'config.json'), '{}');
    const recipe = small.replace('/models/m', model).replace('repo/image:1', image);
    writeFileSync(join(cwd, 'r.yaml'), `${recipe}extra_mount: ["${cwd}/data:/data"]\n`);
  };

  it('starts nothing without --on-nodes, and refuses what apply refuses', () => {
    write('image');
    const { status, of } = doctor(['-f', 'r.yaml', '--json'], { cluster: CLUSTER, command: 'preflight' });
    expect(status).toBe(2);
    expect(of('recipe')[0]?.text).toContain('"image" is no alias in containers of srtslurm.yaml');
    expect(of('runtime')).toEqual([]);
  });

  /** A package with SGLang's name, whose parser takes these options. */
  const sglang = (home: string) => {
    const files = {
      '__init__.py': `open("${home}/asked", "a").write("x")\n`,
      'srt/__init__.py': '',
      'srt/server_args.py': [
        'import argparse',
        'def prepare_server_args(argv):',
        '    parser = argparse.ArgumentParser(allow_abbrev=False)',
        '    for name in ("model-path", "tensor-parallel-size", "host", "port", "served-model-name"):',
        '        parser.add_argument(f"--{name}")',
        '    known, left = parser.parse_known_args(argv)',
        '    bad = [word for word in left if "sise" in word]',
        '    if bad: parser.error(f"unrecognized arguments: {bad[0]}")',
        '    parser.parse_args([])',
      ].join('\n'),
    };
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(home, 'sglang', name)), { recursive: true });
      writeFileSync(join(home, 'sglang', name), text);
    }
    standIn('python3', `PYTHONPATH=${home} exec /usr/bin/python3 "$@"`);
  };
  const misspelt = () => {
    const text = readFileSync(join(cwd, 'r.yaml'), 'utf8');
    writeFileSync(join(cwd, 'r.yaml'), text.replace('decode: {tensor', 'decode: {sise: 1, tensor'));
  };

  it("has the parsers of this machine's programs take the planned options, where engines run without images", () => {
    write(join(cwd, 'image.sqsh'));
    writeFileSync(join(cwd, 'image.sqsh'), '');
    sglang(cwd);
    const cluster = `${CLUSTER}container_runtime: none\n`;
    const args = ['-f', 'r.yaml', '--json'];
    const taken = doctor(args, { cluster, command: 'preflight' });
    expect(taken.of('options')).toMatchObject([{ status: 'ok', where: 'login' }]);
    misspelt();
    const { status, of } = doctor(args, { cluster, command: 'preflight' });
    expect(status).toBe(1);
    expect(of('options')).toMatchObject([
      {
        status: 'fail',
        text: expect.stringMatching(
          /r\.yaml:\d+: backend\.sglang_config\.decode\.sise: unrecognized arguments: --sise/,
        ),
      },
    ]);
    expect(readdirSync(join(cwd, 'outputs'))).toEqual(['.option-checks']);
  });

  it('asks the image on a node, and not again while the image stays the same', () => {
    write(join(cwd, 'image.sqsh'));
    writeFileSync(join(cwd, 'image.sqsh'), '');
    sglang(cwd);
    misspelt();
    // The stand-in starts the container here, and leaves what it was asked.
    const asked = join(cwd, 'srun.asked');
    const run = (image: string) => {
      const file = join(cwd, 'image.sqsh');
      if (readFileSync(file, 'utf8') !== image) writeFileSync(file, image);
      const srun = `echo "$*" >>${asked}\n${SLURM.srun}`;
      for (const [name, script] of Object.entries({ ...SLURM, srun })) standIn(name, script);
      return doctor(['-f', 'r.yaml', '--node', 'n1', '--json'], {
        cluster: CLUSTER,
        command: 'preflight',
        slurm: false,
      });
    };
    const steps = () => readFileSync(asked, 'utf8').match(/--container-image=\S+\.sqsh .*check-options/g);
    const refused = [
      { status: 'fail', text: expect.stringContaining('--sise') },
      { status: 'warn', text: expect.stringContaining('options of sglang-router were not checked') },
    ];
    expect(run('a').of('options', 'n1')).toMatchObject(refused);
    expect(steps()).toHaveLength(1);
    expect(run('a').of('options', 'n1')).toMatchObject(refused);
    expect(steps()).toHaveLength(1);
    expect(run('another').of('options', 'n1')).toMatchObject(refused);
    expect(steps()).toHaveLength(2);
  });

  it('looks for models, images and mounts on the nodes', () => {
    write(join(cwd, 'image.sqsh'));
    const { status, of } = doctor(['-f', 'r.yaml', '--on-nodes', '--json'], {
      cluster: CLUSTER,
      command: 'preflight',
    });
    expect(status).toBe(1);
    expect(of('models').every(({ status }) => status === 'ok')).toBe(true);
    expect(of('paths').map(({ text }) => text.split('/').at(-1))).toEqual(
      expect.arrayContaining(['image.sqsh does not exist', 'data does not exist']),
    );
  });
});
