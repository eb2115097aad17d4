import { appendFile, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JobOnDisk } from '../../../src/cli/jobs/job-dir.ts';
import { agentText } from '../../../src/cli/logs/log-text.ts';
import { type LogLine, type LogQuery, readLogs } from '../../../src/cli/logs/read-logs.ts';
import { selection } from '../../../src/cli/logs/selection.ts';
import type { EventBody } from '../../../src/messages/events/events.ts';
import { jobPaths, writeJson } from '../../../src/messages/job-directory/files.ts';
import { until } from '../../support/bus.ts';
import { linesOf, stateOf, writeJob } from '../job.ts';
import { processEvent, recorded, START } from '../view/events.ts';

let root: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** A process of node1 or node2 whose log begins at byte 0, when the recorded events begin. */
const started = (process: string, node = 'node1'): EventBody =>
  processEvent({
    process,
    node,
    from: 'preparing',
    to: 'starting',
    logFrom: 0,
    logFile: join(root, process),
  });

/** A time so many seconds after the first event, as SGLang writes it. */
const stamp = (seconds: number): string => {
  const at = new Date(START + seconds * 1_000);
  const two = (number: number) => String(number).padStart(2, '0');
  const date = [at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())].join('-');
  return `[${date} ${[at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':')}]`;
};

async function write(process: string, lines: readonly string[], endsAt = 60): Promise<void> {
  const file = join(root, process);
  await writeFile(file, lines.map((line) => `${line}\n`).join(''));
  const seconds = START / 1_000 + endsAt;
  await utimes(file, seconds, seconds);
}

async function read(job: JobOnDisk, query: Partial<LogQuery> = {}): Promise<LogLine[]> {
  const lines: LogLine[] = [];
  const handle = (line: LogLine) => void lines.push(line);
  await readLogs(job, { choose: selection([], {}), fits: () => true, follow: false, handle, ...query });
  return lines;
}
const textOf = (lines: readonly LogLine[]): string[] =>
  lines.map(({ process, text }) => `${process}: ${text}`);

describe('the logs of several processes', () => {
  it('are merged by time: lines with times, the traceback after one, and a log without times', async () => {
    const job = await writeJob(root, 'a', {
      events: recorded([started('one'), started('two', 'node2'), started('plain')]),
    });
    await write('one', [`${stamp(10)} a`, `${stamp(30)} b`, 'Traceback', `${stamp(50)} c`], 50);
    await write('two', ['banner', `${stamp(20)} d`, `${stamp(40)} e`], 40);
    // Eight bytes a line: written from second 2 to second 62.
    await write('plain', ['step 01', 'step 02', 'step 03', 'step 04'], 62);
    const lines = await read(job);
    expect(textOf(lines)).toEqual([
      'two: banner',
      'plain: step 01',
      `one: ${stamp(10)} a`,
      'plain: step 02',
      `two: ${stamp(20)} d`,
      `one: ${stamp(30)} b`,
      'one: Traceback',
      'plain: step 03',
      `two: ${stamp(40)} e`,
      'plain: step 04',
      `one: ${stamp(50)} c`,
    ]);
    expect(lines.filter(({ isEstimate }) => isEstimate).map(({ text }) => text)).toEqual([
      ...['banner', 'step 01', 'step 02', 'Traceback', 'step 03', 'step 04'],
    ]);
  });

  it('are corrected by the measured clocks of their nodes', async () => {
    const clock = {
      kind: 'clock.offset',
      node: 'node2',
      of: 'agent:node2:x',
      offsetMs: 15_000,
      errorMs: 1,
    } as const;
    const job = await writeJob(root, 'a', {
      events: recorded([clock, started('one'), started('two', 'node2')]),
    });
    await write('one', [`${stamp(10)} first`, `${stamp(20)} third`], 20);
    await write('two', [`${stamp(30)} second`], 30);
    expect((await read(job)).map(({ text }) => text.slice(22))).toEqual(['first', 'second', 'third']);
  });

  it('are cut to the last lines, to those after a time, and to those that match', async () => {
    const job = await writeJob(root, 'a', { events: recorded([started('one'), started('two')]) });
    const many = Array.from({ length: 50_000 }, (_, at) => `${stamp(at / 10)} line ${at}`);
    await write('one', many, 5_000);
    await write('two', [`${stamp(4_990)} other`, `${stamp(4_999.95)} last`], 5_000);
    expect(textOf(await read(job, { last: 3 }))).toEqual([
      `one: ${stamp(4_999)} line 49998`,
      `one: ${stamp(4_999)} line 49999`,
      `two: ${stamp(4_999)} last`,
    ]);
    const since = START + 4_990_000;
    const later = await read(job, { since });
    expect(later).toHaveLength(102);
    expect(later[0]?.text).toBe(`${stamp(4_990)} line 49900`);
    expect(textOf(await read(job, { fits: (line) => /line 12345$/.test(line) }))).toHaveLength(1);
    const matching = await read(job, { fits: (line) => /7$/.test(line), last: 2 });
    expect(matching.map(({ text }) => text.slice(22))).toEqual(['line 49987', 'line 49997']);
  });

  it('may be a thousand, which share the memory for their pieces', async () => {
    const names = Array.from({ length: 1_000 }, (_, at) => `p${at}`);
    const job = await writeJob(root, 'a', { events: recorded(names.map((name) => started(name))) });
    await Promise.all(
      names.map((name, at) => write(name, [`${stamp(at / 10)} first`, `${stamp(200)} ${name}`], 200)),
    );
    const lines = await read(job, { last: 1_001 });
    expect(lines).toHaveLength(1_001);
    expect(lines[0]?.text).toBe(`${stamp(99.9)} first`);
    expect(lines.slice(1).map(({ process }) => process)).toEqual(names);
  });

  it('are followed: new lines, a log that was begun anew, and a process that starts later', async () => {
    const spec = { mode: 'slurm', slurm: { jobId: '4711', own: true } } as const;
    const events = recorded([started('one'), started('two')]);
    const job = await writeJob(root, 'a', {
      ...{ spec, events: events.slice(0, 1), state: { sweep: 'running', exitCode: null } },
    });
    await write('one', ['old line']);
    const lines: LogLine[] = [];
    const done = readLogs(job, {
      choose: selection([], {}),
      ...{ fits: () => true, follow: true, last: 10, handle: (line) => void lines.push(line) },
    });
    await until('the old line', () => lines.length === 1);
    await appendFile(join(root, 'one'), 'half a ');
    await appendFile(join(root, 'one'), 'line\n');
    await until('the new line', () => lines.some(({ text }) => text === 'half a line'));
    await write('one', ['new']);
    await until('the line of the new log', () => lines.some(({ text }) => text === 'new'));
    await write('two', ['hello']);
    await appendFile(jobPaths(job.jobDir, 'a').events, linesOf(events.slice(1)));
    await until('the line of the new process', () => lines.some(({ text }) => text === 'hello'));
    await appendFile(join(root, 'two'), 'without an end');
    await writeJson(jobPaths(job.jobDir, 'a').state, stateOf('a'));
    await done;
    expect(textOf(lines)).toEqual([
      'one: old line',
      'one: half a line',
      'one: new',
      'two: hello',
      'two: without an end',
    ]);
  });

  it('before the restart of a worker have the times of their own start', async () => {
    const job = await writeJob(root, 'a');
    const { logs, events } = jobPaths(job.jobDir, 'a');
    const logFile = join(logs, 'one.out');
    const begin = processEvent({ process: 'one', from: 'preparing', to: 'starting', logFrom: 0, logFile });
    await writeFile(events, linesOf(recorded([begin, processEvent({ process: 'other' }), begin])));
    await writeFile(`${logFile}.1`, 'banner of the first life\n[2026-01-02T03:04:06Z] end\n');
    await writeFile(logFile, 'banner of the second life\n[2026-01-02T03:04:09Z] end\n');
    const lines = await read(job, { choose: selection(['one', 'one.1'], {}) });
    expect(lines.map(({ process, at }) => `${process} ${(at - START) / 1_000}`)).toEqual([
      ...['one.1 0', 'one.1 1', 'one 2', 'one 4'],
    ]);
  });
});

describe('a log that only its agent can read', () => {
  const log = ['one', 'two', 'three €', 'four'].map((line) => `${line}\n`).join('');
  const bytes = Buffer.from(log);
  /** Answers with at most six bytes of characters a piece. */
  const ask = async ({ lines, offset = 0 }: { lines?: number; offset?: number }) => {
    if (lines !== undefined) {
      const text = lines === 0 ? '' : `${log.trimEnd().split('\n').slice(-lines).join('\n')}\n`;
      return { text, offset: bytes.length };
    }
    const text = bytes.subarray(offset).toString().slice(0, 6);
    return { text, offset: offset + Buffer.byteLength(text) };
  };

  it('gives the same lines, with their places in bytes', async () => {
    const text = agentText(ask);
    expect(await text.end()).toEqual({ size: bytes.length, writtenAt: undefined });
    const from = await text.offsetOfLast(2, () => true);
    const found: { text: string; next: number }[] = [];
    for await (const line of text.lines(from, { partial: false, piece: 1 })) found.push(line);
    expect(found).toEqual([
      { text: 'three €', next: bytes.length - 5 },
      { text: 'four', next: bytes.length },
    ]);
  });
});
