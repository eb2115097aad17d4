import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chown, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { startGuard } from '../../../src/os/processes/guard.ts';
import { exists, until } from '../../support/bus.ts';

const script = resolve('src/os/processes/guard.sh');
const pids: number[] = [];
const directories: string[] = [];
afterEach(async () => {
  for (const pid of pids.splice(0)) if (exists(pid)) process.kill(pid, 'SIGKILL');
  for (const each of directories.splice(0)) await rm(each, { recursive: true, force: true });
});

async function temporary(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
  directories.push(made);
  return made;
}
const sleeper = (env: NodeJS.ProcessEnv): number => {
  const child = spawn('sleep', ['1000'], {
    detached: true,
    stdio: 'ignore',
    env: { PATH: process.env.PATH ?? '', ...env },
  });
  if (child.pid === undefined) throw new Error('sleep does not start');
  pids.push(child.pid);
  return child.pid;
};

/** A guard of a killed process, and its orders. */
async function guardThenKill(lines: string[], mark: string, ...directories: string[]): Promise<void> {
  const code = `const { stdin } = require('node:child_process').spawn('/bin/sh', process.argv.slice(1), { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
    stdin.write(${JSON.stringify(`${lines.join('\n')}\n`)}, () => process.kill(process.pid, 'SIGKILL'));`;
  const owner = spawn(process.execPath, ['-e', code, script, mark, ...directories], { stdio: 'ignore' });
  await new Promise((settle) => owner.once('exit', settle));
}

it('kills the registered groups and the processes with the mark, and nothing else; and removes the directory', async () => {
  const directory = await temporary();
  const mark = `SRTCTL_AGENT=test/${process.pid}`;
  const grouped = sleeper({});
  const over = sleeper({});
  const marked = sleeper({ SRTCTL_AGENT: `test/${process.pid}` });
  const stranger = sleeper({ SRTCTL_AGENT: `test/${process.pid}0` });
  await guardThenKill([`+${over}`, `+${grouped}`, `-${over}`], mark, directory);
  await until('the group to be killed', () => !exists(grouped));
  await until('the marked one to be killed', () => !exists(marked));
  await until('the directory to be removed', () => !existsSync(directory));
  expect(exists(over)).toBe(true);
  expect(exists(stranger)).toBe(true);
});

it('runs the commands for processes outside of any group, and removes the directory', async () => {
  const stops = await temporary();
  const parts = [sleeper({}), sleeper({})];
  await Promise.all(parts.map((pid) => writeFile(join(stops, `${pid}.sh`), `exec kill -9 ${pid}\n`)));
  await guardThenKill([], 'SRTCTL_AGENT=none', '', stops);
  await until('the parts to be ended', () => parts.every((pid) => !exists(pid)));
  await until('the directory to be removed', () => !existsSync(stops));
});

it('runs nothing from a directory that another user made in its place, or from a link to one', async (test) => {
  if (process.getuid?.() !== 0) test.skip();
  const theirs = await temporary();
  const link = `${theirs}-link`;
  directories.push(link);
  const directory = await temporary();
  const ran = join(theirs, 'ran');
  await writeFile(join(theirs, '1.sh'), `touch ${ran}\n`);
  await symlink(theirs, link);
  await guardThenKill([], 'SRTCTL_AGENT=none', directory, link);
  await until('the guard to end', () => !existsSync(directory));
  const again = await temporary();
  await chown(theirs, 12_345, 12_345);
  await guardThenKill([], 'SRTCTL_AGENT=none', again, theirs);
  await until('the guard to end', () => !existsSync(again));
  expect(existsSync(ran)).toBe(false);
  expect(existsSync(theirs)).toBe(true);
});

it('does nothing after it was dismissed', async () => {
  const pid = sleeper({});
  const guard = startGuard({ script, mark: 'SRTCTL_AGENT=none' });
  guard.began(pid);
  await guard.dismiss();
  const again = startGuard({ script, mark: 'SRTCTL_AGENT=none' });
  await again.dismiss();
  expect(exists(pid)).toBe(true);
});
