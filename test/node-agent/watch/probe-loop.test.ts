import { createServer, type Server } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import type { ProcessEvent } from '../../../src/machines/process.ts';
import { livenessOf, watchProbe } from '../../../src/node-agent/watch/probe-loop.ts';
import { until } from '../../support/bus.ts';
import { specOf } from '../../support/spec.ts';

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** Probes a server whose answers are `status`; null: it never answers. Collects the probes' events. */
async function probing(status: () => number | null, unhealthyAfterMs: number) {
  const server = createServer((_, response) => {
    const now = status();
    if (now !== null) response.writeHead(now).end();
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const spec = specOf({
    id: 'worker',
    unhealthyAfterMs,
    probe: { kind: 'http', host: '127.0.0.1', port, path: '/health' },
  });
  const told: ProcessEvent[] = [];
  const stop = watchProbe({ spec, phase: 'liveness' }, (event) => told.push(event));
  return { told, stop };
}

const failed = (told: readonly ProcessEvent[]) => told.find(({ type }) => type === 'probe.failed');

describe('probes of a process that serves', () => {
  it('report a failure before the limit for failing probes is over', async () => {
    const { told, stop } = await probing(() => 503, 1_000);
    const event = await until('a failed probe', () => failed(told));
    stop();
    expect(event).toMatchObject({ detail: '/health answers HTTP 503' });
    expect(event).toHaveProperty('forMs', expect.any(Number));
  });

  it('count from the request of the first failed one, so silence is included', async () => {
    const { told, stop } = await probing(() => null, 1_000);
    const event = await until('a failed probe', () => failed(told));
    stop();
    expect(event.type === 'probe.failed' && event.forMs).toBeGreaterThanOrEqual(450);
  });

  it('begin anew when one passes', async () => {
    let asked = 0;
    const { told, stop } = await probing(() => (++asked % 2 === 0 ? 200 : 503), 4_000);
    await until('two that passed', () => told.length >= 2);
    stop();
    expect(failed(told)).toBeUndefined();
  });

  it('wait for longer than SGLang, which answers 503 after 20 s without a token, unless less is allowed', () => {
    expect(livenessOf(300_000)).toEqual({ everyMs: 5_000, timeoutMs: 25_000 });
    expect(livenessOf(10_000)).toEqual({ everyMs: 2_500, timeoutMs: 5_000 });
  });
});
