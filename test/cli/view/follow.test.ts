import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JobOnDisk } from '../../../src/cli/jobs/job-dir.ts';
import { followJob } from '../../../src/cli/view/follow.ts';
import { BusTimeout } from '../../../src/messages/bus/bus.ts';
import type { SrtEvent } from '../../../src/messages/events/events.ts';
import { subjectsOf } from '../../../src/messages/events/subjects.ts';
import { jobPaths, writeJson } from '../../../src/messages/job-directory/files.ts';
import { startTestBus, type TestBus, until } from '../../support/bus.ts';
import { fakeOut, linesOf, writeJob } from '../job.ts';
import { killed, wholeRun } from './events.ts';

let root: string;
let server: TestBus | undefined;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterEach(async () => {
  await server?.stop();
  server = undefined;
  await rm(root, { recursive: true, force: true });
});

interface Line {
  readonly kind: string;
  readonly source?: string;
  readonly seq?: number;
  readonly exitCode?: number | null;
}
const parsed = (text: string): Line[] =>
  text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
const keysOf = (lines: readonly Line[]) =>
  lines.filter((line) => line.seq !== undefined).map((line) => `${line.source} ${line.seq}`);

describe('following a job that is over', () => {
  it('prints each event in a line, then the summary, and returns the exit code of the run', async () => {
    const events = wholeRun(killed);
    const job = await writeJob(root, 'a', { events, state: { exitCode: 1 } });
    const { out, text } = fakeOut();
    expect(await followJob({ job, json: false, out })).toEqual({ exitCode: 1, cause: killed.summary });
    expect(text()).toContain('node2 decode-0-0 ready → failed');
    expect(text()).toContain(`failed: ${killed.summary}`);
    expect(text().match(/job running → finished/g)).toHaveLength(1);
    expect(text()).toBe(stripVTControlCharacters(text()));
  });

  it('as JSON prints every event, a last line with the summary, and nothing else', async () => {
    const events = wholeRun();
    const job = await writeJob(root, 'a', { events });
    const { out, text } = fakeOut();
    await followJob({ job, json: true, out });
    const lines = parsed(text());
    expect(lines.slice(0, -1)).toEqual(events);
    expect(lines.at(-1)).toMatchObject({ kind: 'summary', jobId: 'a', exitCode: 0, cause: null });
  });

  it('reports the end of the coordinator and its log when the run never finished', async () => {
    const job = await writeJob(root, 'a', {
      events: wholeRun().slice(0, 6),
      state: { sweep: 'running', exitCode: null },
    });
    await writeFile(join(job.jobDir, 'logs/sweep_a.log'), 'one\nout of memory\n');
    const { out, text } = fakeOut();
    expect(await followJob({ job, json: false, out })).toEqual({
      exitCode: 1,
      cause: 'the coordinator ended before the run was finished',
    });
    expect(text()).toContain('failed: the coordinator ended before the run was finished');
    expect(text()).toContain('| out of memory');
  });

  it('on a terminal leaves the last screen and the summary', async () => {
    const job = await writeJob(root, 'a', { events: wholeRun() });
    const { out, text } = fakeOut({ columns: 80, rows: 24 });
    await followJob({ job, json: false, out });
    expect(text()).toContain('point 0 small');
    expect(text()).toContain(`results: ${job.jobDir}`);
  });
});

/** A job whose bus is a real nats-server; the test acts as its coordinator. */
async function liveJob(): Promise<{ job: JobOnDisk; keep(event: SrtEvent): Promise<void> }> {
  server = await startTestBus('a', ['node1', 'node2']);
  const job = await writeJob(root, 'a', { state: { sweep: 'running', exitCode: null } });
  const bus = await server.coordinator();
  await writeJson(jobPaths(job.jobDir, 'a').connection, {
    v: 1,
    jobId: 'a',
    url: server.nats.url,
    operatorSeed: server.keys.operator.seed,
  });
  // Repeatedly, as an outbox does, because an answer may be late.
  const keep = async (event: SrtEvent): Promise<void> => {
    const kept = () =>
      bus
        .keep(subjectsOf('a').kept(event.kind, event), event, `${event.source}:${event.seq}`)
        .then(() => true);
    const isLate = (error: unknown) => (error instanceof BusTimeout ? false : Promise.reject(error));
    await until('the event to be kept', () => kept().catch(isLate));
  };
  return { job, keep };
}

describe('following a running job', () => {
  it('shows earlier events, then new ones, and ends with the last event', async () => {
    const { job, keep } = await liveJob();
    const events = wholeRun();
    for (const event of events.slice(0, 5)) await keep(event);
    const { out, text } = fakeOut();
    let end = (): void => {};
    const coordinator = new Promise<void>((resolve) => {
      end = resolve;
    });
    const followed = followJob({ job, json: true, out, coordinator });
    await until('what was before', () => parsed(text()).length === 5);
    for (const event of events.slice(5)) await keep(event);
    await until('the last event', () => parsed(text()).length === events.length);
    end();
    expect(await followed).toEqual({ exitCode: 0, cause: null });
    expect(parsed(text()).slice(0, -1)).toEqual(events);
  });

  it('continues from the file without the bus: no event is missing or repeated', async () => {
    const { job, keep } = await liveJob();
    const events = wholeRun(killed);
    for (const event of events.slice(0, 8)) await keep(event);
    const { out, text } = fakeOut();
    let end = (): void => {};
    const coordinator = new Promise<void>((resolve) => {
      end = resolve;
    });
    const followed = followJob({ job, json: true, out, coordinator });
    await until('some events', () => parsed(text()).length === 8);
    await server?.stop();
    server = undefined;
    await appendFile(join(job.jobDir, 'events.jsonl'), linesOf(events));
    end();
    expect(await followed).toEqual({ exitCode: 1, cause: killed.summary });
    expect(keysOf(parsed(text()))).toEqual(keysOf(events));
  });

  it('ends when the coordinator has gone before the bus existed, and when the bus never answers', async () => {
    const job = await writeJob(root, 'a', { state: null, events: [] });
    const gone = Promise.resolve({ exitCode: 70 });
    expect(await followJob({ job, json: true, out: fakeOut().out, coordinator: gone })).toEqual({
      exitCode: 1,
      cause: 'the coordinator ended before the run was finished',
    });
    // 192.0.2.0/24 is for documentation, so no host answers there.
    await writeJson(jobPaths(job.jobDir, 'a').connection, {
      v: 1,
      jobId: 'a',
      url: 'nats://192.0.2.1:4222',
      operatorSeed: 'SUAIBDPBAUTWCWBKIO6XHQNINK5FWJW4OHLXC3HQ2KFE4PEJUA44CNHTC4',
    });
    expect(await followJob({ job, json: true, out: fakeOut().out })).toEqual({
      exitCode: 1,
      cause: 'the coordinator ended before the run was finished',
    });
  });
});
