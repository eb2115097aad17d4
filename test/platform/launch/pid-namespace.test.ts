import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { requirePidNamespace } from '../../../src/platform/launch/pid-namespace.ts';
import { agentLauncher } from '../../../src/platform/slurm/agent-launcher.ts';
import { exists, until } from '../../support/bus.ts';

const run = promisify(execFile);
const possible = await requirePidNamespace().then(
  () => true,
  () => false,
);

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
  await mkdir(join(dir, 'configs'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** The launcher with a program in place of the agent, as srun starts it on a node. */
async function launch(
  agent: string,
  env: NodeJS.ProcessEnv = {},
  pidNamespace = true,
  node = process.execPath,
  spare?: string,
) {
  const agentScript = join(dir, 'agent.cjs');
  await writeFile(agentScript, agent);
  const [command = '', ...args] = agentLauncher({
    configDir: join(dir, 'configs'),
    suffix: '/group',
    agentScript,
    pidNamespace,
    tmpDir: join(dir, 'tmp'),
    stopDirs: join(dir, 'stop'),
    runtimes: { x86_64: node, aarch64: node },
    ...(spare === undefined ? {} : { spareRuntimes: { x86_64: spare, aarch64: spare } }),
  });
  return run(command, args, { env: { ...process.env, SLURMD_NODENAME: 'node7', ...env }, timeout: 60_000 });
}

it('an agent that is killed with its guard leaves no process, because its launcher does the guard’s work', async () => {
  await cp('src/os/processes/guard.sh', join(dir, 'guard.sh'));
  await mkdir(join(dir, 'tmp'));
  // In its own session, with the mark.
  const agent = `const mark = ${JSON.stringify(dir.split('/').at(-1))} + '/' + process.argv.slice(3).join('/');
    const env = { ...process.env, SRTCTL_AGENT: mark };
    const child = require('node:child_process').spawn('sleep', ['1000'], { detached: true, stdio: 'ignore', env });
    require('node:fs').writeFileSync(${JSON.stringify(join(dir, 'child'))}, String(child.pid));
    process.kill(process.pid, 'SIGKILL');`;
  const failed = await launch(agent, {}, false).catch((error: object) => error);
  expect(failed).toMatchObject({ code: 137 });
  await until(
    'its child to be ended',
    async () => !exists(Number(await readFile(join(dir, 'child'), 'utf8'))),
  );
  expect(await readdir(dir)).not.toContain('tmp');
  // For a coordinator that still waits for the agent's hello.
  expect(await readFile(join(dir, 'configs/node7%2fgroup.ended'), 'utf8')).toBe('137\n');
});

it('a Node that needs another C library is reported with its own message', async () => {
  const node = join(dir, 'node');
  await writeFile(node, '#!/bin/sh\necho "libnode.so.108: cannot open shared object file" >&2\nexit 127\n');
  await chmod(node, 0o755);
  const failed = await launch('', {}, false, node).catch((error: object) => error);
  expect(failed).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/node7.*does not run here: libnode\.so\.108.*make runtimes/),
  });
  expect(await readFile(join(dir, 'configs/node7.failed'), 'utf8')).toContain('libnode.so.108');
});

it('an agent runs with the spare Node when its own needs another C library', async () => {
  const node = join(dir, 'node');
  await writeFile(node, '#!/bin/sh\necho "libnode.so.108: cannot open shared object file" >&2\nexit 127\n');
  await chmod(node, 0o755);
  const { stdout } = await launch('console.log(process.execPath)', {}, false, node, process.execPath);
  expect(stdout.trim()).toBe(process.execPath);
  expect(await readdir(join(dir, 'configs'))).toEqual([]);
  // When neither runs, the message names the own one.
  const failed = await launch('', {}, false, node, join(dir, 'none')).catch((error: object) => error);
  expect(failed).toMatchObject({ code: 2, stderr: expect.stringContaining('libnode.so.108') });
});

describe('an agent in a PID namespace', () => {
  it.skipIf(!possible)(
    'gets its arguments, sees only its own processes, and its exit code is reported',
    async () => {
      const agent = `const pids = require('node:fs').readdirSync('/proc').filter((name) => /^\\d+$/.test(name));
      console.log(JSON.stringify({ argv: process.argv.slice(2), pids: pids.length }));
      process.exit(75);`;
      const failed = await launch(agent).catch((error: { code: number; stdout: string }) => error);
      expect(failed).toMatchObject({ code: 75 });
      const { argv, pids } = JSON.parse(failed.stdout);
      expect(argv).toEqual([join(dir, 'configs'), 'node7/group', expect.stringMatching(/^[0-9a-f-]{36}$/)]);
      expect(pids).toBeLessThan(4);
    },
  );

  it.skipIf(!possible)(
    'leaves no directory when it is killed, and processes outside of the namespace are ended',
    async () => {
      await cp('src/os/processes/guard.sh', join(dir, 'guard.sh'));
      const stops = join(dir, 'stop-node7%2fgroup');
      await Promise.all([join(dir, 'tmp'), stops].map((path) => mkdir(path)));
      await writeFile(join(stops, '1.sh'), `touch ${join(dir, 'ended')}`);
      const failed = await launch("process.kill(process.pid, 'SIGKILL');").catch((error: object) => error);
      expect(failed).toMatchObject({ code: 137 });
      expect(await readdir(dir)).toEqual(['agent.cjs', 'configs', 'ended', 'guard.sh']);
    },
  );

  it.skipIf(!possible)(
    'ends the remains of an earlier agent of its name, and no process of another agent on the node',
    async () => {
      const job = dir.split('/').at(-1);
      const start = (agent: string) => {
        const env = { PATH: '/usr/bin:/bin', SRTCTL_AGENT: `${job}/${agent}` };
        return spawn('sleep', ['1000'], { env, stdio: 'ignore' });
      };
      const [earlier, other] = [start('node7/group/1-a'), start('node7/group/more/1-b')];
      try {
        const ended = once(earlier, 'exit');
        await launch('');
        expect(await ended).toEqual([null, 'SIGKILL']);
        expect(other.signalCode).toBe(null);
        expect(exists(other.pid ?? 0)).toBe(true);
      } finally {
        for (const child of [earlier, other]) child.kill('SIGKILL');
      }
    },
  );

  it.skipIf(!possible)('reaps orphans, and ends all its processes with itself', async () => {
    // An orphan that ends must not stay as a zombie; an orphan that runs must end with the agent.
    const agent = `const { execSync } = require('node:child_process');
      execSync('(setsid sleep 0.05 &); (setsid env -i sleep 1000 >/dev/null 2>&1 &)');
      const { readdirSync, readFileSync } = require('node:fs');
      const stats = () => readdirSync('/proc').filter((name) => /^\\d+$/.test(name)).map((pid) => {
        try { return readFileSync('/proc/' + pid + '/stat', 'latin1'); } catch { return ''; }
      });
      const timer = setInterval(() => {
        const sleeps = stats().filter((stat) => stat.includes('(sleep)'));
        if (sleeps.length !== 1) return;
        clearInterval(timer);
        console.log('one');
        process.kill(process.pid, 'SIGKILL');
      }, 20);`;
    const failed = await launch(agent).catch((error: { code: number; stdout: string }) => error);
    expect(failed).toMatchObject({ code: 137, stdout: 'one\n' });
  });

  it('a namespace that is not possible is reported to the coordinator before the agent starts', async () => {
    await mkdir(join(dir, 'bin'));
    const { stdout } = await run('/bin/sh', ['-c', 'command -v uname']);
    await symlink(stdout.trim(), join(dir, 'bin/uname'));
    const agent = "require('node:fs').writeFileSync(process.argv[2] + '/started', '');";
    await expect(launch(agent, { PATH: join(dir, 'bin') })).rejects.toMatchObject({ code: 2 });
    const said = await readFile(join(dir, 'configs/node7.failed'), 'utf8');
    expect(said).toMatch(/^supervision\.pid_namespace: true is not possible here: .*unshare.*not found/);
    await expect(readFile(join(dir, 'configs/started'))).rejects.toThrow();
  });
});
