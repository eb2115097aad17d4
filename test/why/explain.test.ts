import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { PointTransition, ProcessTransition, SrtEvent } from '../../src/messages/events/events.ts';
import { lastLines } from '../../src/why/evidence.ts';
import { explain } from '../../src/why/explain.ts';
import { readSignatures } from '../../src/why/signatures.ts';

const signatures = readSignatures(resolve('src/why/signatures.yaml'));
const earlier = 'RuntimeError: CUDA out of memory\n';
let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

/** A worker that starts a second time and ends; its log begins with the first start's output. */
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

it('ignores errors of an earlier process of the same name', async () => {
  const logFile = join(dir, 'earlier.out');
  await writeFile(
    logFile,
    `${earlier}NCCL WARN Cuda failure 'unhandled cuda error'\nOSError: [Errno 98] Address already in use\n`,
  );
  const cause = await explain(secondEnd(logFile, 'ended by SIGKILL'), 0, { summary: '' }, signatures);
  expect(cause.signature).not.toBe('cuda-out-of-memory');
  expect(cause.logTail).toHaveLength(2);
});

it("finds an OOM-killed process by its agent's reason when its log has no error", async () => {
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

const transition = (logFile: string, more: Partial<ProcessTransition>): ProcessTransition => ({
  ...{ v: 1, source: 'agent:node1:x', seq: 1, at: '2026-01-01T00:00:01Z', kind: 'process.transition' },
  ...{ node: 'node1', process: 'agg-0-0', role: 'agg', from: 'starting', to: 'ready', why: '', pid: 7 },
  ...{ exitCode: null, signal: null, generation: 2, logFile, ...more },
});
const pointEvent = (
  at: string,
  from: PointTransition['from'],
  to: PointTransition['to'],
): PointTransition => ({
  ...{ v: 1, source: 'coordinator:x', seq: 1, at, kind: 'point.transition', ordinal: 0, name: 'p' },
  ...{ from, to, why: '', cause: null },
});
const failedPoint = (...events: SrtEvent[]): SrtEvent[] => [
  pointEvent('2026-01-01T00:00:00Z', null, 'planned'),
  ...events,
  pointEvent('2026-01-01T00:01:00Z', 'cleaning', 'failed'),
];

it('ignores errors that an engine writes while it is being stopped', async () => {
  const logFile = join(dir, 'stopped.out');
  const served = 'Decode batch. #running-req: 8\n';
  await writeFile(
    logFile,
    `${served}Traceback (most recent call last):\n  File "x.py", line 1\nRuntimeError: CUDA error: driver shutting down\n`,
  );
  const frontend = join(dir, 'frontend.out');
  await writeFile(frontend, 'ERROR worker gone: Connection refused\n');
  const events = failedPoint(
    transition(frontend, {
      process: 'frontend-0',
      role: 'frontend',
      from: 'ready',
      to: 'failed',
      why: 'ended with exit code 1',
      exitCode: 1,
    }),
    transition(logFile, { from: 'ready', to: 'stopping', why: 'not wanted', logTo: served.length }),
    transition(logFile, { from: 'stopping', to: 'stopped', why: 'not wanted', logTo: served.length }),
  );
  const cause = await explain(events, 0, { summary: '' }, signatures);
  expect(cause.process).toBe('frontend-0');
});

it('keeps no line about a single request, coloured or not', () => {
  const said = 'INFO vllm: Loading weights took 38.52 seconds';
  // Dynamo 1.6.1 writes these colour codes to a file while its worker loads.
  const dim = (text: string, code: number): string => `\u001b[${code}m${text}\u001b[0m`;
  const access = `${dim('2026-11-29T13:32:27Z', 2)} ${dim('ERROR', 31)} ${dim('tower_http::trace::on_failure', 2)}${dim(':', 2)} response failed ${dim('classification', 3)}${dim('=', 2)}Status code: 503 Service Unavailable ${dim('latency', 3)}${dim('=', 2)}0 ms`;
  expect(lastLines(`${said}\n${`${access}\n`.repeat(60)}`)).toEqual([said]);
});

it("finds a router's error before its access log, and keeps the lines that explain it", async () => {
  const logFile = join(dir, 'router.out');
  const access = (id: number) =>
    `2026-11-20 10:00:00  INFO http_request{method=POST uri=/v1/completions request_id="r${id}" status_code=200}: smg::response: src/middleware.rs:359: finished processing request\n`;
  const lines = Array.from({ length: 4_000 }, (_, id) => access(id)).join('');
  await writeFile(
    logFile,
    `thread 'tokio' panicked at src/policies/cache_aware.rs:88:21:\nindex out of bounds: the len is 2 but the index is 2\n${lines}`,
  );
  const events = failedPoint(
    transition(logFile, { process: 'frontend-0', role: 'frontend', to: 'failed', why: 'ended by SIGABRT' }),
  );
  const cause = await explain(events, 0, { summary: '' }, signatures);
  expect(cause.error).toMatch(/index out of bounds/);
  expect(cause.logTail?.join('\n')).toMatch(/index out of bounds/);
});

it('reads the log of nats-server when workers complain about it', async () => {
  const logs = join(dir, 'logs');
  await mkdir(logs, { recursive: true });
  await writeFile(
    join(logs, 'nats.log'),
    '[811] 2026/01/03 09:14:21.120044 [ERR] 10.8.0.7:51422 - cid:12 - "v0.40.0:rust" - maximum payload exceeded: 1223632 vs 1048576\n',
  );
  const logFile = join(dir, 'frontend-nats.out');
  await writeFile(
    logFile,
    '2026-01-01T00:00:03Z ERROR dynamo_llm::http::service::openai: Failed to generate completions: NATS request to dynamo_prefill.generate failed: request timed out\n',
  );
  const events = failedPoint(
    transition(logFile, {
      process: 'frontend-0',
      role: 'frontend',
      to: 'failed',
      why: 'ended with exit code 1',
    }),
  );
  const cause = await explain(events, 0, { summary: '' }, signatures, join(dir, 'events.jsonl'));
  expect(cause).toMatchObject({ process: 'nats', signature: 'nats-payload' });
});

it('explains a container image that could not be imported, and what to do', async () => {
  const lost: SrtEvent = {
    ...{ v: 1, source: 'coordinator:x', seq: 1, at: '2026-01-01T00:00:01Z', kind: 'agent.transition' },
    ...{ node: 'node1', from: 'expected', to: 'lost' },
    why: 'ended: srun ended with exit code 1 (Write failed because No space left on device); see /x/node1_agent.out',
  };
  const cause = await explain(failedPoint(lost), 0, { summary: '' }, signatures);
  expect(cause).toMatchObject({
    node: 'node1',
    signature: 'image-space',
    error: 'Write failed because No space left on device',
  });
});

it('names a worker that hung before its benchmark did and ended after it', async () => {
  const logFile = join(dir, 'hung.out');
  await writeFile(logFile, 'Running: 4 reqs\n');
  const benchmark = join(dir, 'benchmark.out');
  await writeFile(benchmark, 'concurrency 4: 0 requests/s\n');
  const hung = 'hung: 4 requests running and no new token for 20 s';
  const events = failedPoint(
    transition(logFile, { at: '2026-01-01T00:00:20Z', from: 'degraded', to: 'stopping', why: hung }),
    transition(benchmark, {
      ...{ process: 'benchmark', role: 'benchmark', at: '2026-01-01T00:00:30Z' },
      ...{ from: 'stopping', to: 'failed', why: 'hung: no answer for 30 s' },
    }),
    transition(logFile, { at: '2026-01-01T00:00:45Z', from: 'stopping', to: 'failed', why: hung }),
  );
  const cause = await explain(events, 0, { summary: 'benchmark hung', process: 'benchmark' }, signatures);
  expect(cause).toMatchObject({ process: 'agg-0-0', followed: ['benchmark'] });
  expect(cause.summary).toContain(hung);
});

it('reports a port that was in use before the start, whatever a log says about NCCL', async () => {
  const logFile = join(dir, 'nccl.out');
  await writeFile(
    logFile,
    'node2:1:1 [0] NCCL WARN socketStartConnect: Connect to 10.0.0.1 failed : Software caused\n',
  );
  const events = failedPoint(
    transition(logFile, {
      at: '2026-01-01T00:00:20Z',
      to: 'failed',
      why: 'ended with exit code 1',
      exitCode: 1,
    }),
  );
  const summary =
    'port 17500 of node1, which decode-0-0 needs (nccl), is taken by pid 7 of user bob, job 1234: python3 -m sglang.launch_server --nccl-port 17500';
  const told = {
    summary,
    node: 'node1',
    signature: 'port-in-use',
    says: 'a port is in use',
    advice: 'end it',
  };
  expect(await explain(events, 0, told, signatures)).toEqual(told);
  // A job of an earlier release has no signature there, and no process had failed.
  const { signature: _, says: __, ...before } = told;
  expect(await explain(failedPoint(), 0, before, signatures)).toMatchObject({ signature: 'port-in-use' });
});

it.each([
  'port 17500 of node1, which agg-0-0 needs (nccl), is taken by pid 7 of user bob, job 1234: python3 -m engine',
  'port 6100 is answered by another program and not by this process: pid 7 of user bob, job 1234: python3 -m engine',
])("names a port in use as the cause, and NCCL's errors as its echo: %s", async (why) => {
  const [logFile, other] = [join(dir, 'port.out'), join(dir, 'echo.out')];
  await writeFile(logFile, '');
  await writeFile(other, '[rank1]: torch.distributed.DistBackendError: NCCL error: remote process exited\n');
  const ended = { to: 'failed', exitCode: 1 } as const;
  const events = failedPoint(
    transition(other, {
      ...ended,
      at: '2026-01-01T00:00:20.0Z',
      process: 'agg-1-0',
      node: 'node2',
      why: 'ended',
    }),
    transition(logFile, { ...ended, at: '2026-01-01T00:00:20.1Z', why, exitCode: null }),
  );
  const cause = await explain(events, 0, { summary: '' }, signatures);
  expect(cause).toMatchObject({ process: 'agg-0-0', node: 'node1', signature: 'port-in-use' });
});

it('ignores what a step wrote that ended well', async () => {
  const [step, router] = [join(dir, 'step.out'), join(dir, 'router.out')];
  await writeFile(step, "were not checked: ModuleNotFoundError: No module named 'sglang'\n");
  await writeFile(router, 'Failed job: type=AddWorker\n');
  const [begin, , end] = secondEnd(step, '');
  const events = [
    begin,
    transition(step, {
      process: 'check-options-0',
      role: 'step',
      from: 'starting',
      to: 'stopped',
      exitCode: 0,
    }),
    transition(router, {
      process: 'frontend-0',
      role: 'frontend',
      from: 'starting',
      to: 'failed',
      exitCode: 1,
    }),
    end,
  ].filter((event) => event !== undefined);
  expect(await explain(events, 0, { summary: '' }, signatures)).toMatchObject({ process: 'frontend-0' });
});

it('an agent that was lost while no coordinator was there comes before a benchmark whose requests were refused', async () => {
  const logFile = join(dir, 'refused.out');
  const log =
    'loadgen: http://10.0.0.2:8000/v1/models: ECONNREFUSED: connection refused: no server listens there\n';
  await writeFile(logFile, log);
  const told = { summary: 'the agent of node2 was lost while the coordinator was away', node: 'node2' };
  const failed = {
    process: 'benchmark',
    role: 'benchmark',
    from: 'ready',
    to: 'failed',
    exitCode: 1,
  } as const;
  const events = [
    pointEvent('2026-01-01T00:00:00Z', null, 'planned'),
    transition(logFile, { ...failed, why: 'ended with exit code 1' }),
    pointEvent('2026-01-01T00:00:02Z', 'cleaning', 'failed'),
  ];
  expect(await explain(events, 0, told, signatures)).toEqual({ ...told, followed: ['benchmark'] });
  await writeFile(logFile, `RuntimeError: CUDA out of memory\n`);
  expect(await explain(events, 0, told, signatures)).toMatchObject({ process: 'benchmark' });
});
