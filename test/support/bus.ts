import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createJobKeys, type JobKeys } from '../../src/coordinator/bus-server/keys.ts';
import { NatsServer, type NatsServerOptions } from '../../src/coordinator/bus-server/nats-server.ts';
import { createStreams } from '../../src/coordinator/bus-server/stream.ts';
import type { Bus } from '../../src/messages/bus/bus.ts';
import { connectBus, inboxOf } from '../../src/messages/bus/nats-bus.ts';
import { findProgram } from '../../src/os/find-program.ts';

/** A real nats-server with its own directory, port and keys, for one test file. */
export async function startTestBus(
  jobId: string,
  nodes: string[],
  tls?: JobKeys['tls'],
  engines: Pick<NatsServerOptions, 'maxPayloadMb' | 'logins' | 'exec'> = {},
) {
  const directory = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
  await mkdir(join(directory, 'nats'));
  const keys: JobKeys = { ...createJobKeys(nodes), ...(tls ? { tls } : {}) };
  const pids = new Set<number>();
  const restarts: string[] = [];
  const nats = new NatsServer({
    jobId,
    host: '127.0.0.1',
    logFile: join(directory, 'nats.log'),
    keys,
    ...engines,
    binary: findProgram('nats-server', process.env, process.cwd()),
    directory: join(directory, 'nats'),
    began: (pid) => pids.add(pid),
    over: (pid) => pids.delete(pid),
    onRestart: (why) => restarts.push(why),
    onGone: (why) => restarts.push(`gone: ${why}`),
  });
  await nats.start();
  await createStreams(keys, { url: nats.url, jobId, ca: tls?.ca });
  const open: Bus[] = [];
  const connect = async (seed: string, inbox: string, onDenied: (error: Error) => void = () => {}) => {
    const bus = await connectBus({
      url: nats.url,
      ca: tls?.ca,
      seed,
      job: jobId,
      name: `test ${inbox}`,
      inbox,
      onDenied,
    });
    open.push(bus);
    return bus;
  };
  return {
    directory,
    keys,
    nats,
    pids,
    restarts,
    coordinator: (onDenied?: (error: Error) => void) =>
      connect(keys.coordinator.seed, inboxOf('coordinator'), onDenied),
    operator: (onDenied?: (error: Error) => void) =>
      connect(keys.operator.seed, inboxOf('operator'), onDenied),
    agent: (node: string, onDenied?: (error: Error) => void) =>
      connect(keys.agents.get(node)?.seed ?? '', inboxOf('agent', node), onDenied),
    async stop() {
      await Promise.all(open.map((bus) => bus.close(500)));
      await nats.stop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}
export type TestBus = Awaited<ReturnType<typeof startTestBus>>;

/**
 * Resolves as soon as `holds` does; rejects after `ms` with the description. The limit is generous, because a
 * busy machine may be slow; it only turns an endless wait into an error.
 */
export async function until<T>(
  what: string,
  holds: () => T | Promise<T>,
  ms = 30_000,
): Promise<NonNullable<T>> {
  const end = performance.now() + ms;
  for (;;) {
    const value = await holds();
    if (value) return value as NonNullable<T>;
    if (performance.now() > end) throw new Error(`no ${what} within ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** false for a zombie too: it has ended, and only waits to be reaped. */
export const exists = (pid: number): boolean => {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
};
