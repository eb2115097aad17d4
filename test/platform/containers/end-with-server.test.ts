import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { until } from '../../support/bus.ts';

const SCRIPT = resolve('src/steps/end-with-server.sh');

/**
 * A short version of TensorRT-LLM's launcher: the server in a subshell, and the leader of the ranks in the foreground.
 */
const launcher = (server: string, beside = 'sleep 1000'): string => `set -e
(
  /bin/sh ${SCRIPT} /bin/sh -c '${server}'
  echo the line that stops the ranks
) &
${beside} &
sleep 1000`;

/** Processes of a group that have not ended. Zombies do not count, because their new parent may reap them late. */
const alive = (group: number | undefined): string[] =>
  readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid)) return false;
    try {
      const [state, , pgrp] = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
      return state !== 'Z' && Number(pgrp) === group;
    } catch {
      return false;
    }
  });

it.each([
  ['fails', 'exit 7', 7],
  ['ends with 0', 'exit 0', 0],
  ['is killed', 'kill -9 $$', 137],
])(
  'a server that %s ends its launcher and the ranks of its node',
  async (_, server, code) => {
    const child = spawn('bash', ['-c', launcher(server)], {
      detached: true,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let said = '';
    child.stderr.on('data', (data: Buffer) => {
      said += data;
    });
    const closed = once(child.stderr, 'close');
    const [exitCode, signal] = await once(child, 'exit');
    expect([exitCode, signal]).toEqual([null, 'SIGTERM']);
    await closed;
    expect(said).toContain(`/bin/sh ended with exit code ${code}; its ranks are being stopped`);
    await until('nothing left', () => alive(child.pid).length === 0);
  },
  30_000,
);

it('a process that ignores SIGTERM is killed', async () => {
  const stubborn = 'bash -c "trap : TERM; while :; do sleep 1; done"';
  const child = spawn('bash', ['-c', launcher('sleep 0.5; exit 1', stubborn)], {
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  await once(child.stderr.resume(), 'close');
  await until('nothing left', () => alive(child.pid).length === 0);
}, 30_000);
