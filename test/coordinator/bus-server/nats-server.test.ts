import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { createJobKeys } from '../../../src/coordinator/bus-server/keys.ts';
import { NatsServer } from '../../../src/coordinator/bus-server/nats-server.ts';
import { connectBus, inboxOf } from '../../../src/messages/bus/nats-bus.ts';
import { findProgram } from '../../../src/os/find-program.ts';
import { exists, until } from '../../support/bus.ts';
import { signal } from '../../support/signal.ts';

let directory: string;
const pids = new Set<number>();
const keys = createJobKeys(['node1']);
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterEach(async () => {
  for (const pid of pids) if (exists(pid)) signal(pid, 'SIGKILL');
  pids.clear();
  await rm(directory, { recursive: true, force: true });
});

/** The server of successive coordinators: the same directory and keys. */
const ofCoordinator = (): NatsServer =>
  new NatsServer({
    jobId: 'a',
    host: '127.0.0.1',
    logFile: join(directory, 'nats.log'),
    keys,
    binary: findProgram('nats-server', process.env, process.cwd()),
    directory,
    began: (pid) => pids.add(pid),
    over: () => undefined,
    onRestart: () => undefined,
    onGone: (why) => expect.fail(why),
  });

const answersTo = async (server: NatsServer): Promise<void> => {
  const { seed } = keys.coordinator;
  const inbox = inboxOf('coordinator');
  const bus = await connectBus({
    ...{ url: server.url, seed, job: 'a', name: 'test', inbox, onDenied: () => {} },
    // As a coordinator connects.
    patienceMs: 15_000,
  });
  await bus.settled();
  await bus.close(500);
};

it('a successor that knows only the previous server finds the restarted one', async () => {
  const first = ofCoordinator();
  await first.start();
  const told = first.name;
  signal(told.pid, 'SIGKILL');
  await until('another server', () => first.pid !== told.pid && first.pid);
  const second = ofCoordinator();
  await second.takeOver(told);
  expect(second.name).toEqual({ ...first.name, port: told.port });
  await answersTo(second);
  await Promise.all([first.stop(), second.stop()]);
  expect([...pids].filter(exists)).toEqual([]);
});

it('a server that ended together with its coordinator is started on the same port', async () => {
  const first = ofCoordinator();
  await first.start();
  const told = first.name;
  await first.stop();
  // The file that a killed server leaves.
  await mkdir(join(directory, 'ports'), { recursive: true });
  await writeFile(join(directory, 'ports/nats-server_1.ports'), '{"nats": ["nats://127.0.0.1:1"]}');
  const second = ofCoordinator();
  await second.takeOver(told);
  expect(second.port).toBe(told.port);
  await answersTo(second);
  await second.stop();
});

it('a server whose coordinator was killed before it wrote the keys down is ended', async () => {
  const first = ofCoordinator();
  await first.start();
  const left = first.pid ?? 0;
  const second = ofCoordinator();
  // Its first coordinator counts as dead, and starts no other server.
  await Promise.all([first.stop(), second.start()]);
  expect(exists(left)).toBe(false);
  await answersTo(second);
  await second.stop();
});
