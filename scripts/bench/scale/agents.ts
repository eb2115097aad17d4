import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setPriority } from 'node:os';
import { pino } from 'pino';
import type { Bus } from '../../../src/messages/bus/bus.ts';
import { connectBus, inboxOf } from '../../../src/messages/bus/nats-bus.ts';
import { createOutbox } from '../../../src/messages/bus/outbox.ts';
import { subjectsOf } from '../../../src/messages/events/subjects.ts';
import type { TelemetrySamples } from '../../../src/messages/events/telemetry.ts';
import { agentConfigSchema } from '../../../src/messages/job-directory/job-files.ts';
import { NodeAgent } from '../../../src/node-agent/agent.ts';
import { ProcessTable } from '../../../src/node-agent/processes/process-table.ts';
import type { SpawnListener } from '../../../src/node-agent/start/spawn.ts';

// Many agents in one OS process: real agents, tables and connections; the processes are numbers.
// Low priority, because real agents run on other machines and take no CPU time from the server and the coordinator.
setPriority(19);
const files = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as string[];
/** From SIGTERM to the end, because engines need a moment to release their GPUs. */
const ENDS_AFTER_MS = 500;
const running = new Map<number, { node: string; listener: SpawnListener }>();
let pids = 0;

const signalGroup = (pid: number): boolean => {
  const found = running.get(pid);
  if (!found) return false;
  running.delete(pid);
  setTimeout(() => found.listener.exited(null, 'SIGTERM'), ENDS_AFTER_MS);
  return true;
};

async function startAgent(file: string): Promise<void> {
  const config = agentConfigSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  const { jobId, node, url, seed } = config;
  const incarnation = randomUUID();
  const bus = await connectBus({
    ...{ url, seed, job: jobId, name: `agent ${node} ${incarnation}`, inbox: inboxOf('agent', node) },
    patienceMs: 60_000,
  });
  const table = new ProcessTable({
    spawner: {
      spawn(_, __, listener) {
        running.set(++pids, { node, listener });
        return { pid: pids };
      },
      signalGroup,
      signal: () => false,
    },
    guard: { began: () => undefined, over: () => undefined, dismiss: () => Promise.resolve() },
    agentMark: `${jobId}/${node}`,
    agentId: node,
    jobNode: `${jobId}/${node}`,
    environment: {},
    onTransition: (transition) => agent.publish(transition),
    onEmpty: () => agent.onEmpty(),
    onDefect: (what, error) => process.stderr.write(`${node}: ${what}: ${error}\n`),
  });
  const agent = new NodeAgent({
    ...{ config, incarnation, bus, table, address: '127.0.0.1', gpuHolders: [] },
    outbox: createOutbox({ bus, job: jobId, source: `agent:${node}:${incarnation}`, now: () => new Date() }),
    subjects: subjectsOf(jobId),
    log: pino({ level: 'silent' }),
    now: () => performance.now(),
    clock: { now: () => Date.now(), source: `agent:${node}:${incarnation}` },
    onEnd: () => void bus.close(500),
  });
  agent.start();
  publishSamples(node, bus, incarnation);
}

/** Samples of each of its processes that an agent publishes each second; every fourth value has changed. */
const SAMPLES = Number(process.env.SRTCTL_BENCH_SAMPLES ?? 0);
const PROCESSES = 8;

function publishSamples(node: string, bus: Pick<Bus, 'publish'>, incarnation: string): void {
  if (SAMPLES === 0) return;
  const { telemetrySamples } = subjectsOf('scale');
  let seq = 0;
  const publish = (): void => {
    seq++;
    const samples: TelemetrySamples['samples'] = [];
    for (let id = 0; id < SAMPLES * PROCESSES; id += 4) samples.push([id, id * 1_000 + seq * 17]);
    const at = Math.floor(Date.now() / 1_000) * 1_000;
    bus.publish(telemetrySamples(node), { v: 1, node, incarnation, at, intervalMs: 1_000, seq, samples });
  };
  // Agents of other machines are not in step to the microsecond.
  setTimeout(() => setInterval(publish, 1_000), Math.random() * 1_000);
}

process.on('message', ({ fail }: { fail: string }) => {
  for (const [pid, { node, listener }] of running)
    if (node === fail) {
      running.delete(pid);
      process.send?.({ failedAt: Date.now() });
      listener.exited(1, null);
      return;
    }
});
process.on('disconnect', () => process.exit(0));
for (const file of files) await startAgent(file);
