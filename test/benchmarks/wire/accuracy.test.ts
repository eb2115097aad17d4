import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Measured } from '../../../src/benchmarks/loadgen/figures/measured.ts';
import { clientOf } from '../../../src/benchmarks/loadgen/request/client-of.ts';
import { measureRequest, outgoing } from '../../../src/benchmarks/loadgen/request/request.ts';
import { clockOrigin } from '../../../src/benchmarks/loadgen/threads/messages.ts';

const [TTFT_MS, ITL_MS, TOKENS, STREAMS] = [40, 10, 30, 16];
/** Bounds of errors that a busy machine keeps, too. Exact figures are in scripts/bench/loadgen.mjs. */
const [TTFT_BOUND_MS, ITL_BOUND_MS] = [100, 100];

interface Sent {
  readonly index: number;
  readonly arrivedAt: number;
  readonly sentAt: readonly number[];
}

let server: ChildProcess;
let url: string;
beforeAll(async () => {
  const program = join(import.meta.dirname, '../../support/exact-server.mjs');
  const options = ['--ttft', String(TTFT_MS), '--itl', String(ITL_MS)];
  server = spawn(process.execPath, [program, ...options], { stdio: ['ignore', 'pipe', 'inherit', 'ipc'] });
  const [port] = (await once(server.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  url = `http://127.0.0.1:${Number(port)}`;
});
afterAll(() => {
  server.kill('SIGKILL');
});

describe.each([false, true])('streams of a known schedule, connections kept: %s', (reuseConnections) => {
  it('are measured as the server sent them', async () => {
    const config = {
      ...{ url, caFile: null, reuseConnections, clientThreads: null, headers: {}, apiKeyEnv: null },
      ...{ endpoint: '/v1/completions' as const, extraBody: {}, requestTimeoutMs: 30_000 },
    };
    const client = await clientOf(config);
    const send = (index: number): Promise<Measured> => {
      const prompt = { content: [index, 2, 3], inputTokens: 3, outputTokens: TOKENS };
      return measureRequest(client, outgoing(config, 'served', prompt, { index }));
    };
    const all = await Promise.all(Array.from({ length: STREAMS }, (_, index) => send(index)));
    all.push(...(await Promise.all(Array.from({ length: STREAMS }, (_, index) => send(STREAMS + index)))));
    client.close('over');
    const log = (await (await fetch(`${url}/log`)).json()) as Sent[];

    expect(all.map(({ error }) => error).filter((error) => error !== null)).toEqual([]);
    const origin = clockOrigin();
    for (const one of all) {
      const { arrivedAt, sentAt } = log.find(({ index }) => index === one.index) as Sent;
      const [first = 0, last = 0] = [sentAt[0], sentAt.at(-1)];
      expect(one).toMatchObject({ chunks: TOKENS, outputTokens: TOKENS, inputTokens: 3 });
      // Nothing is earlier than it was.
      expect(one.startedAt + origin).toBeLessThan(arrivedAt);
      expect(one.firstAt + origin).toBeGreaterThan(first);
      expect(one.lastAt + origin).toBeGreaterThan(last);
      expect(Math.abs(one.ttftMs - (first - arrivedAt))).toBeLessThan(TTFT_BOUND_MS);
      const gaps = sentAt.slice(1).map((at, index) => at - (sentAt[index] ?? 0));
      expect(one.gapsMs.length).toBe(gaps.length);
      for (const [index, gap] of [...one.gapsMs].entries())
        expect(Math.abs(gap - (gaps[index] ?? 0))).toBeLessThan(ITL_BOUND_MS);
    }
  });
});
