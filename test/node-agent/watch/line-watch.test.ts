import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { trtllm } from '../../../src/backends/trtllm/plan.ts';
import type { ProcessEvent } from '../../../src/machines/process.ts';
import { LineWatch } from '../../../src/node-agent/watch/line-watch.ts';
import { watchProbe } from '../../../src/node-agent/watch/probe-loop.ts';
import { until } from '../../support/bus.ts';
import { specOf } from '../../support/spec.ts';

let dir: string;
let log: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
  log = join(dir, 'log');
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const LINE = 'Failed job: type=AddWorker, worker=http://10.0.0.1:6100, error=no answer';

it('finds a new line, in pieces and in colours, and no line of an earlier process', async () => {
  await writeFile(log, `${LINE}\n`);
  const watch = new LineWatch(log, LINE.length + 1, 'Failed job: type=AddWorker');
  expect(await watch.look()).toBeUndefined();
  await appendFile(log, `all is well\n\u001b[31mERROR\u001b[0m ${LINE.slice(0, 20)}`);
  expect(await watch.look()).toBeUndefined();
  await appendFile(log, `${LINE.slice(20)}\nmore\n`);
  expect(await watch.look()).toBe(`ERROR ${LINE}`);
  expect(await new LineWatch(join(dir, 'none'), 0, 'x').look()).toBeUndefined();
});

it('looks for several patterns, and only at the beginning of a long line', async () => {
  await writeFile(log, `${'x'.repeat(600)} second\n${'y'.repeat(300_000)}\n`);
  const watch = new LineWatch(log, 0, 'first', 'second', '(a+)+b');
  expect(await watch.look()).toBeUndefined();
  await appendFile(log, `${'y'.repeat(300_000)}\nthe second\nthe first\n`);
  expect(await watch.look()).toBe('the second');
});

it('reads a log as fast as a disk writes it', async () => {
  const line =
    '[11/18/2025-09:33:30] [TRT-LLM] [RANK 0] [I] iter = 12, num_scheduled_requests: 64, states = {a: 1}';
  await writeFile(log, `${line}\n`.repeat(300_000));
  const watch = new LineWatch(log, 0, ...(trtllm.fatalLines ?? []));
  const begin = process.cpuUsage();
  expect(await watch.look()).toBeUndefined();
  const { user, system } = process.cpuUsage(begin);
  // 31 MB; measured: 0.1 s.
  expect((user + system) / 1e6).toBeLessThan(3);
});

it('a process whose log shows that it gave up is not waited for', async () => {
  await writeFile(log, '');
  const events: ProcessEvent[] = [];
  const spec = specOf({
    id: 'frontend-0',
    logFile: log,
    givesUp: 'Failed job: type=AddWorker',
    probe: { kind: 'tcp', host: '127.0.0.1', port: 1 },
  });
  const stop = watchProbe({ spec, phase: 'startup' }, (event) => events.push(event));
  await until('a first answer', () => events.length > 0);
  await appendFile(log, `${LINE}\n`);
  const gaveUp = await until('that it gave up', () => events.find(({ type }) => type === 'probe.gaveUp'));
  expect(gaveUp).toEqual({ type: 'probe.gaveUp', detail: LINE });
  stop();
});
