import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { EventFile } from '../../../src/cli/watch/sources/event-file.ts';
import { JobList } from '../../../src/cli/watch/sources/job-list.ts';
import { LiveJob } from '../../../src/cli/watch/sources/live-job.ts';
import { until } from '../../support/bus.ts';
import { killed, wholeRun } from '../view/events.ts';

let root = '';
let live: LiveJob | undefined;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'srtctl-watched-'));
  await mkdir(join(root, 'job-1', 'logs'), { recursive: true });
});
afterEach(async () => {
  await live?.close();
  await rm(root, { recursive: true, force: true });
});

const jobDir = (): string => join(root, 'job-1');
const text = (events: readonly unknown[]): string =>
  events.map((event) => `${JSON.stringify(event)}\n`).join('');
const spec = () => ({
  ...{ v: 1 as const, jobId: 'job-1', name: 'small', mode: 'local' as const, mock: true, tags: ['nightly'] },
  ...{
    submittedAt: new Date().toISOString(),
    jobDir: jobDir(),
    nodes: ['node1', 'node2'],
    setupScript: null,
  },
  ...{ variant: null, cluster: null },
});
const state = (sweep: 'running' | 'finished') => ({
  ...{ v: 1, jobId: 'job-1', name: 'small', epoch: 1, generation: 2, streamSeq: 3, coordinatorPid: 1 },
  ...{ updatedAt: new Date().toISOString(), sweep, exitCode: sweep === 'finished' ? 1 : null, cause: killed },
  points: [{ ordinal: 0, name: 'small', state: 'failed', status: 'failed' }],
});
const write = (name: string, content: unknown) => writeFile(join(jobDir(), name), JSON.stringify(content));

describe('a job that is watched without its bus', () => {
  it('is read from its files as they grow, and until it is over', async () => {
    const events = wholeRun(killed);
    await writeFile(join(jobDir(), 'events.jsonl'), text(events.slice(0, 10)));
    let changes = 0;
    live = new LiveJob({ jobId: 'job-1', jobDir: jobDir(), spec: spec() }, () => changes++);
    const scene = () => live?.scene(Date.now());
    await until('its processes', () => scene()?.history.job.processes.size === 2);
    await until('the files as its source', () => scene()?.link === 'files');
    expect(scene()?.cause).toBeNull();
    // The begin of a line, and then the rest.
    const rest = text(events.slice(10));
    await appendFile(join(jobDir(), 'events.jsonl'), rest.slice(0, 50));
    await appendFile(join(jobDir(), 'events.jsonl'), rest.slice(50));
    await write('state.json', state('finished'));
    await until('its end', () => scene()?.link === 'over');
    expect(scene()).toMatchObject({ exitCode: 1, cause: { process: 'decode-0-0' } });
    expect(scene()?.history.events).toHaveLength(events.length);
    expect(changes).toBeGreaterThan(0);
  });

  it('is in the list of jobs with its points, end and cause', async () => {
    await write('job-1.json', spec());
    await write('state.json', state('finished'));
    const result = { outputThroughput: 400, ttftMs: { median: 20 }, itlMs: { median: 4 } };
    const lines = [
      { ...result, valid: true, perGpu: { outputPerGpu: 50 } },
      { ...result, valid: false, perGpu: { outputPerGpu: 90 } },
    ];
    await writeFile(join(jobDir(), 'results.jsonl'), text(lines));
    expect(await new JobList(root).read()).toMatchObject([
      {
        ...{ jobId: 'job-1', name: 'small', tags: ['nightly'], state: 'finished', isOver: true, exitCode: 1 },
        ...{ points: { all: 1, done: 0, failed: 1 }, cause: killed.summary },
        figures: { rate: 50, isPerGpu: true, ttftMs: 20, itlMs: 4 },
      },
    ]);
  });
});

describe('a file of events', () => {
  it('gives each event once, also when it is larger than a piece', async () => {
    const [event] = wholeRun();
    const many = Array.from({ length: 12_000 }, (_, at) => ({ ...event, seq: at + 1 }));
    const file = join(root, 'events.jsonl');
    await writeFile(file, text(many));
    const reader = new EventFile(file);
    const seqs: number[] = [];
    while (await reader.read(({ seq }) => seqs.push(seq)));
    expect(seqs).toEqual(many.map(({ seq }) => seq));
  });
});
