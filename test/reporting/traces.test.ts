import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { timelineOf } from '../../src/report/model/timeline.ts';
import { exportTrace, receiverOf } from '../../src/reporting/traces/otlp.ts';
import { sampleRequests } from '../../src/reporting/traces/requests.ts';
import { type JobSpan, traceOf } from '../../src/reporting/traces/spans.ts';
import { madeJob, wholeRun } from './made.ts';

const begin = Date.parse('2026-11-30T10:01:00Z');
const records = [
  { v: 1, since: begin + 5_000, unit: 'ms' },
  { i: 0, sent: 1, first: 21, end: 101, tokens: [456, 104], error: null },
  { i: 1, sent: 2, first: null, end: 40, tokens: null, error: 'HTTP 500' },
  { i: 2, sent: 3, first: 20, end: 90, tokens: [400, 100], error: null },
];
const requests = sampleRequests(records.map((line) => JSON.stringify(line)).join('\n'), 4, 10);

function traced(exitCode: number) {
  const job = madeJob();
  const timeline = timelineOf(wholeRun(exitCode), job.spec.submittedAt);
  if (!timeline) throw new Error('no timeline');
  return traceOf(job, timeline, new Map([[0, requests]]), { exitCode, why: 'decode-0 has ended' });
}

/** The names from a span up to the job. */
function pathOf(span: JobSpan, spans: readonly JobSpan[]): string {
  const parent = spans.find(({ id }) => id === span.parent);
  return parent ? `${pathOf(parent, spans)} / ${span.name}` : span.name;
}

describe('the trace of a job', () => {
  const { id, spans } = traced(0);

  it('has the job, its points, its processes, their stages and the sampled requests', () => {
    const paths = [...new Set(spans.map((span) => pathOf(span, spans)))];
    expect(paths).toEqual([
      'job small',
      ...['queue', 'booting', 'running'].map((stage) => `job small / ${stage}`),
      'job small / point 0 small',
      ...['deploy and load', 'router and flush', 'warm-up and measure'].map(
        (stage) => `job small / point 0 small / ${stage}`,
      ),
      'job small / point 0 small / warm-up and measure / request',
      'job small / point 0 small / warm-up and measure / request / first token',
      'job small / process agg-0',
      'job small / process agg-0 / load',
    ]);
  });

  it('has times within each other, and ids of the right length, each once', () => {
    expect(id).toMatch(/^[0-9a-f]{32}$/);
    expect(new Set(spans.map((span) => span.id)).size).toBe(spans.length);
    for (const span of spans) {
      expect(span.id).toMatch(/^[0-9a-f]{16}$/);
      expect(span.toMs).toBeGreaterThanOrEqual(span.fromMs);
      const parent = spans.find((other) => other.id === span.parent);
      if (parent) expect(span.fromMs).toBeGreaterThanOrEqual(parent.fromMs);
    }
  });

  it('is the same when it is made again, so that a repeated export adds nothing', () => {
    expect(traced(0)).toEqual({ id, spans });
  });

  it('says which requests and which job have failed', () => {
    const failed = spans.filter(({ error }) => error !== undefined);
    expect(failed.map(({ name, error }) => [name, error])).toEqual([['request', 'HTTP 500']]);
    expect(traced(1).spans[0]).toMatchObject({ error: 'decode-0 has ended' });
  });
});

describe('requests for a trace', () => {
  it('are evenly chosen', () => {
    const lines = Array.from({ length: 1_000 }, (_, at) => ({ sent: at, first: at, end: at, error: null }));
    const text = [{ v: 1, since: 0 }, ...lines].map((line) => JSON.stringify(line)).join('\n');
    const sampled = sampleRequests(text, 1, 5).map(({ sentMs }) => sentMs);
    expect(sampled).toHaveLength(5);
    expect(Math.max(...sampled) - Math.min(...sampled)).toBeGreaterThan(700);
  });

  it('are none where the file is not of this format', () => {
    expect(sampleRequests('no json\n{}', 1, 5)).toEqual([]);
  });
});

describe('a collector of traces', () => {
  it.each([
    ['http://10.0.0.1:4317', 'grpc', 'http://10.0.0.1:4317'],
    ['10.0.0.1:4317', 'grpc', 'http://10.0.0.1:4317'],
    ['http://10.0.0.1:4318', 'http', 'http://10.0.0.1:4318/v1/traces'],
    ['https://traces.example.com/otlp/v1/traces', 'http', 'https://traces.example.com/otlp/v1/traces'],
  ])('at %s gets %s', (endpoint, protocol, url) => {
    expect(receiverOf(endpoint)).toEqual({ protocol, url });
  });
});

it('a collector that does not answer is given up in time', async () => {
  const silent = createServer(() => undefined).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  onTestFinished(() => {
    silent.closeAllConnections();
    silent.close();
  });
  const end = new AbortController();
  silent.once('request', () => end.abort());
  const { port } = silent.address() as AddressInfo;
  await expect(exportTrace(traced(0), `http://127.0.0.1:${port}`, end.signal)).rejects.toThrow('in time');
});
