import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { silentWorkers } from '../../../src/coordinator/sweep/silent-workers.ts';
import { type ProcessSpec, processSpecSchema } from '../../../src/messages/spec/process-spec.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function portOf(status: number | null): Promise<number> {
  const server = createServer((_, response) => {
    if (status !== null) response.writeHead(status).end();
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

const spec = (id: string, role: ProcessSpec['role'], port: number): ProcessSpec =>
  processSpecSchema.parse({
    ...{ id, role, phase: 'worker', node: 'node1', argv: ['true'], env: {}, logFile: '/tmp/x', gpus: [] },
    ...{ image: null, ports: {}, critical: true, terminates: false, startTimeoutMs: 1, graceMs: 1 },
    ...{ emptyDirs: [], unhealthyAfterMs: 30_000 },
    probe: { kind: 'http', host: '127.0.0.1', port, path: '/health' },
  });

it('the frozen worker is named, and no worker that answers or has ended', async () => {
  const closed = await portOf(200);
  servers.pop()?.close();
  const found = await silentWorkers(
    [
      spec('agg-0-0', 'agg', await portOf(null)),
      spec('agg-1-0', 'agg', await portOf(200)),
      spec('agg-2-0', 'agg', await portOf(503)),
      spec('agg-3-0', 'agg', closed),
      spec('frontend-0', 'frontend', await portOf(null)),
    ],
    new AbortController().signal,
    300,
  );
  expect(found).toEqual([
    'agg-0-0 (worker on node1) does not answer when it is asked for its health (0.3 s)',
  ]);
});
