import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { SrtEvent } from '../../src/messages/events.ts';
import { explain } from '../../src/why/explain.ts';
import { readSignatures } from '../../src/why/signatures.ts';

const signatures = readSignatures(resolve('src/why/signatures.yaml'));
const earlier = 'RuntimeError: CUDA out of memory\n';
let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** A worker that is started a second time, and ends; its log begins with what the first one said. */
function secondEnd(logFile: string, why: string): SrtEvent[] {
  const envelope = { v: 1, source: 'agent:node1:x', seq: 1 } as const;
  const point = {
    ...envelope,
    kind: 'point.transition',
    ordinal: 0,
    name: 'p',
    why: '',
    cause: null,
  } as const;
  return [
    { ...point, at: '2026-01-01T00:00:00Z', from: null, to: 'planned' },
    {
      ...{
        ...envelope,
        at: '2026-01-01T00:00:01Z',
        kind: 'process.transition',
        node: 'node1',
        process: 'decode-0-0',
      },
      ...{ role: 'decode', from: 'ready', to: 'failed', why, pid: 7, exitCode: null, signal: 'SIGKILL' },
      ...{ generation: 2, logFile, logFrom: earlier.length },
    },
    { ...point, at: '2026-01-01T00:00:02Z', from: 'cleaning', to: 'failed' },
  ];
}

it('does not take what an earlier process of the same name said for the cause', async () => {
  const logFile = join(dir, 'earlier.out');
  await writeFile(
    logFile,
    `${earlier}NCCL WARN Cuda failure 'unhandled cuda error'\nOSError: [Errno 98] Address already in use\n`,
  );
  const cause = await explain(secondEnd(logFile, 'ended by SIGKILL'), 0, { summary: '' }, signatures);
  expect(cause.signature).not.toBe('cuda-out-of-memory');
  expect(cause.logTail).toHaveLength(2);
});

it('knows who was killed for lack of memory by what its agent saw, when its log says nothing', async () => {
  const logFile = join(dir, 'silent.out');
  await writeFile(logFile, `${earlier}loading weights: 37 %\n`);
  const why = 'ended by SIGKILL: out of memory (the kernel counts an oom_kill at that moment)';
  const cause = await explain(secondEnd(logFile, why), 0, { summary: '' }, signatures);
  expect(cause).toMatchObject({
    signature: 'host-out-of-memory',
    process: 'decode-0-0',
    node: 'node1',
    error: why,
  });
});
