import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { subjectsOf } from '../../../src/messages/events/subjects.ts';
import {
  type TelemetrySamples,
  type TelemetrySeries,
  telemetrySamplesSchema,
  telemetrySeriesSchema,
} from '../../../src/messages/events/telemetry.ts';
import type { ProcessSpec } from '../../../src/messages/spec/process-spec.ts';
import { Sampler } from '../../../src/node-agent/telemetry/sampler.ts';
import { AllLiveSeries } from '../../../src/telemetry/live-series.ts';
import { until } from '../../support/bus.ts';
import { specOf } from '../../support/spec.ts';

const subjects = subjectsOf('job');
let directory: string;
let engine: Server;
let text: string;
let status: number;
let ready: { start: number; spec: ProcessSpec }[];
let sent: (TelemetrySeries | TelemetrySamples)[];
let live: AllLiveSeries;
let warnings: string[];
let sampler: Sampler;
let isConnected: boolean;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'srtctl-telemetry-'));
  [text, status, ready, sent, warnings, isConnected] = ['', 200, [], [], [], true];
  live = new AllLiveSeries();
  engine = createServer((_, response) => {
    response.statusCode = status;
    response.end(text);
  });
  await new Promise<void>((settle) => engine.listen(0, '127.0.0.1', settle));
  sampler = new Sampler({
    ...{ node: 'node1', incarnation: 'i1', settings: { intervalMs: 50, directory, machine: true }, subjects },
    bus: {
      status: {
        malformed: 0,
        handlerErrors: 0,
        get connected() {
          return isConnected;
        },
      },
      publish: (subject, message) => take(subject, JSON.parse(JSON.stringify(message))),
    },
    now: () => performance.timeOrigin + performance.now(),
    ready: () => ready,
    environment: { HF_TOKEN: 'very-secret-value', NCCL_DEBUG: 'INFO' },
    log: { warn: (_, message) => warnings.push(message) },
  });
});
afterEach(async () => {
  await sampler.stop();
  engine.close();
  engine.closeAllConnections();
  rmSync(directory, { recursive: true, force: true });
});

function take(subject: string, message: unknown): void {
  if (subject === subjects.telemetrySeries('node1')) {
    const parsed = telemetrySeriesSchema.parse(message);
    sent.push(parsed);
    live.describe(parsed);
  } else {
    expect(subject).toBe(subjects.telemetrySamples('node1'));
    const parsed = telemetrySamplesSchema.parse(message);
    sent.push(parsed);
    live.sample(parsed);
  }
}

const serve = (start: number, id: string) => {
  const { port } = engine.address() as AddressInfo;
  const metrics = [{ host: '127.0.0.1', port, path: '/metrics' }];
  ready = [...ready, { start, spec: specOf({ id, metrics }) }];
};
/** Current values by process, name and labels; without the duration of the reading. */
const now = () =>
  Object.fromEntries(
    [...live.all()]
      .filter(({ name }) => name !== 'scrape_duration_seconds')
      .map(({ process, name, labels, value }) => [
        [process, name, ...Object.values(labels)].join(' '),
        value,
      ]),
  );
const batches = () => sent.filter((message): message is TelemetrySamples => 'seq' in message);

describe('the samples of an agent', () => {
  it('are all metrics of its processes, which follow them from their start to their end', async () => {
    text =
      'running{model="a",rank="0"} 1\nrunning{model="a",rank="1"} 2\n# TYPE tokens counter\ntokens_total 7\n';
    serve(1, 'decode-0-0');
    sampler.start();
    await until('the first values', () => 'decode-0-0 tokens_total' in now());
    expect(now()).toEqual({
      'decode-0-0 up': 1,
      'decode-0-0 running a 0': 1,
      'decode-0-0 running a 1': 2,
      'decode-0-0 tokens_total': 7,
    });
    text = text.replace('tokens_total 7', 'tokens_total NaN');
    await until('the next value', () => now()['decode-0-0 tokens_total'] === 'NaN');
    // An engine that does not answer has no values.
    status = 500;
    await until('no values', () => now()['decode-0-0 up'] === 0);
    expect(now()).toEqual({ 'decode-0-0 up': 0 });
    status = 200;
    await until('values again', () => now()['decode-0-0 running a 1'] === 2);
    ready = [];
    await until('its end', () => [...live.all()].length === 0);
  });

  it('have times that are multiples of the interval, in order, and numbers without a gap', async () => {
    sampler.start();
    await until('some batches', () => batches().length >= 4);
    const all = batches();
    expect(all.map(({ at }) => at % 50)).toEqual(all.map(() => 0));
    expect(all.map(({ at }) => at)).toEqual([...new Set(all.map(({ at }) => at))].sort((a, b) => a - b));
    expect(all.map(({ seq }) => seq)).toEqual(all.map((_, at) => at + 1));
  });

  it('are sent again in parts, so that a late reader learns all of them', async () => {
    text = 'a 1\nb 2\n';
    serve(1, 'p');
    sampler.start();
    await until('the first values', () => 'p b' in now());
    live = new AllLiveSeries();
    expect(sampler.describe()).toBe(4);
    expect(now()).toEqual({ 'p up': 1, 'p a': 1, 'p b': 2 });
    live = new AllLiveSeries();
    await until('all of them without being asked', () => 'p b' in now() && 'p a' in now());
  });

  it('contain no secret and no name of an environment variable', async () => {
    text = [
      'a{x="very-secret-value-1"} 1',
      'b{config="set by NCCL_DEBUG"} 1',
      'c{NCCL_DEBUG="1"} 1',
      'd{api_key="abc"} 1',
      'e{url="http://u:p@h/"} 1',
      'f{x="hf_abcdefghijklmnopqrstuvwx"} 1',
      'NCCL_DEBUG 1',
      'g{token_type="prompt",le="0.5"} 1\n',
    ].join('\n');
    serve(1, 'p');
    sampler.start();
    await until('the values', () => 'p g prompt 0.5' in now());
    expect(Object.keys(now()).sort()).toEqual(
      [
        'p up',
        ...['a', 'b', 'd', 'e', 'f'].map((name) => `p ${name} [hidden]`),
        'p c',
        'p g prompt 0.5',
      ].sort(),
    );
    const kept = readFileSync(await sampler.stop(), 'utf8');
    expect(kept).not.toMatch(/very-secret|NCCL_DEBUG|u:p|hf_abc/);
  });

  it('are in a log that a reader of the bus could have written, also while the bus is gone', async () => {
    text = 'a 1\n';
    serve(1, 'p');
    isConnected = false;
    sampler.start();
    await until('a log', () => readLog().some((line) => line.includes('"name":"a"')));
    text = 'a 2\n';
    const first = await sampler.turnLog();
    await until('the next log', () => readLog().some((line) => line.includes(',2]]')));
    expect(sent).toEqual([]);
    const second = await sampler.stop();
    for (const line of readFileSync(second, 'utf8').trimEnd().split('\n')) {
      const message: unknown = JSON.parse(line);
      if (telemetrySeriesSchema.safeParse(message).success)
        live.describe(telemetrySeriesSchema.parse(message));
      else live.sample(telemetrySamplesSchema.parse(message));
    }
    // Each log stands alone.
    expect(first).not.toBe(second);
    expect(now()).toMatchObject({ 'p up': 1, 'p a': 2 });
    expect(warnings).toEqual([]);
  });
});

const readLog = (): string[] =>
  readdirSync(directory).flatMap((name) => readFileSync(join(directory, name), 'utf8').split('\n'));
