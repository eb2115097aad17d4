import { connect } from 'node:net';
import { subjectsOf } from '../../../src/messages/events/subjects.ts';
import type { ProcessSpec } from '../../../src/messages/spec/process-spec.ts';
import { NodeCollector } from '../../../src/node-agent/telemetry/node-collector.ts';
import { Sampler } from '../../../src/node-agent/telemetry/sampler.ts';

// An agent's telemetry alone: `node sampler.cjs DIRECTORY SINK PORT…`. Prints the CPU time and memory that it takes.
const [directory = '', sink = '', ...ports] = process.argv.slice(2);
const socket = connect(Number(sink), '127.0.0.1');
socket.on('data', () => undefined);
const encoder = new TextEncoder();
const ready = ports.map((port, start) => ({
  start,
  spec: {
    id: `decode-${start}-0`,
    env: {},
    metrics: [{ host: '127.0.0.1', port: Number(port), path: '/metrics' }],
  } as unknown as ProcessSpec,
}));
let isStarted = false;
let samples = 0;
const sampler = new Sampler({
  ...{ node: 'node1', incarnation: 'i', subjects: subjectsOf('bench') },
  settings: { intervalMs: 1_000, directory, machine: true },
  bus: {
    status: { connected: true, malformed: 0, handlerErrors: 0 },
    publish: (_, message) => {
      const batch = message as { samples?: unknown[][] };
      for (const run of batch.samples ?? []) samples += run.length - 1;
      socket.write(encoder.encode(JSON.stringify(message)));
    },
  },
  now: () => Date.now(),
  ready: () => (isStarted ? ready : []),
  environment: {},
  collectors: (book) => [new NodeCollector(book)],
  log: { warn: (_, message) => process.stderr.write(`${message}\n`) },
});

process.on('message', (what) => {
  if (what === 'start') {
    isStarted = true;
    sampler.start();
  } else {
    const { user, system } = process.cpuUsage();
    const { rss, heapUsed, external } = process.memoryUsage();
    process.send?.({ cpuMs: (user + system) / 1_000, rss, heapUsed, external, samples });
  }
});
process.on('disconnect', () => process.exit(0));
