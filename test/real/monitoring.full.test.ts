import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, expect, it } from 'vitest';
import * as z from 'zod';
import { freePort } from '../../src/platform/local/local-platform.ts';
import { timelineOf } from '../../src/report/model/timeline.ts';
import { exportTrace } from '../../src/reporting/traces/otlp.ts';
import { traceOf } from '../../src/reporting/traces/spans.ts';
import { writeRecipe } from '../e2e/recipe.ts';
import { madeJob, wholeRun } from '../reporting/made.ts';
import { until } from '../support/bus.ts';
import { useJobs } from '../support/jobs.ts';
import { describeReal, programOf } from './support/programs.ts';

const collector = programOf('monitoring', 'otelcol');
const directory = mkdtempSync(join(tmpdir(), 'srtctl-monitoring-'));
const started: ChildProcess[] = [];
const run = (program: string, args: readonly string[]): ChildProcess => {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  started.push(child);
  return child;
};
afterEach(async () => {
  for (const child of started.splice(0)) {
    child.kill('SIGKILL');
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  }
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const dashboardSchema = z.object({
  panels: z.array(
    z.object({ title: z.string(), targets: z.array(z.object({ expr: z.string() })).default([]) }),
  ),
});

describeReal('Prometheus', ['monitoring'], () => {
  const jobs = useJobs({ SRTCTL_SIM_GPU_WATTS: '400 500' });

  it('scrapes a job, and every query of the dashboard finds data; they are stale when the job has ended', async () => {
    const recipe = await writeRecipe(jobs.dir, { frontend: 'sglang', requests: 2_000, concurrencies: '4' });
    const sets = ['prefill', 'decode'].map((mode) => `backend.sglang_config.${mode}.enable-metrics=true`);
    const job = await jobs.apply(recipe, { args: sets.flatMap((set) => ['--set', set]) });
    await job.benchmarking();
    const exporter = await jobs.start(['metrics', await job.jobDir(), '--prometheus', '127.0.0.1:0']);
    const target = await until(
      'the exporter',
      async () => /http:\/\/(\S+)\/metrics/.exec(exporter.stdout)?.[1],
    );
    const port = await freePort('127.0.0.1');
    const config = join(directory, 'prometheus.yml');
    await writeFile(
      config,
      `scrape_configs: [{job_name: srtctl, scrape_interval: 1s, static_configs: [{targets: ['${target}']}]}]\n`,
    );
    run(programOf('monitoring', 'prometheus'), [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(directory, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ]);
    const jobId = await job.jobId();
    /** Number of series that a query of the dashboard finds. */
    const found = async (expr: string): Promise<number> => {
      const query = expr
        .replaceAll('$__rate_interval', '10s')
        .replaceAll('$job', jobId)
        .replaceAll('$node', '.*');
      const url = `http://127.0.0.1:${port}/api/v1/query?query=${encodeURIComponent(query)}`;
      const answer: unknown = await fetch(url).then(
        (response) => response.json(),
        () => ({}),
      );
      const { status, error, data } = z
        .object({
          ...{ status: z.string().optional(), error: z.string().optional() },
          data: z
            .object({ result: z.array(z.object({ value: z.tuple([z.number(), z.string()]) })) })
            .optional(),
        })
        .parse(answer);
      if (status === 'error') throw new Error(`${query}: ${error}`);
      return data?.result.filter(({ value }) => value[1] !== 'NaN').length ?? 0;
    };
    const dashboard = resolve(import.meta.dirname, '../../docs/grafana/srtctl.json');
    const { panels } = dashboardSchema.parse(JSON.parse(await readFile(dashboard, 'utf8')));
    const queries = panels.flatMap(({ title, targets }) => targets.map(({ expr }) => `${title}: ${expr}`));
    expect(queries.length).toBeGreaterThan(20);
    let missing = queries;
    await until('data for every query', async () => {
      const numbers = await Promise.all(missing.map((query) => found(query.slice(query.indexOf(': ') + 2))));
      missing = missing.filter((_, at) => numbers[at] === 0);
      return missing.length === 0;
    }).catch((error: unknown) => {
      throw new Error(`no data: ${missing.join('\n')}`, { cause: error });
    });
    await job.stop();
    expect(await exporter.ended(), exporter.said).toBe(0);
    expect(exporter.stdout).toContain('has ended');
    await until('stale series', async () => (await found('sglang:num_running_reqs')) === 0);
  }, 180_000);
});

describeReal('the collector of OpenTelemetry', ['monitoring'], () => {
  const spanSchema = z.object({
    traceId: z.string(),
    spanId: z.string(),
    parentSpanId: z.string().optional(),
    name: z.string(),
    startTimeUnixNano: z.string(),
    endTimeUnixNano: z.string(),
    status: z.object({ code: z.number().optional(), message: z.string().optional() }).optional(),
  });
  const receivedSchema = z.object({
    resourceSpans: z.array(
      z.object({
        resource: z.object({
          attributes: z.array(z.object({ key: z.string(), value: z.object({ stringValue: z.string() }) })),
        }),
        scopeSpans: z.array(z.object({ spans: z.array(spanSchema) })),
      }),
    ),
  });

  // Go is not everywhere; scripts/real/setup.sh says when this is left out.
  it.runIf(existsSync(collector))('receives every span over HTTP, and over gRPC', async () => {
    const received: z.infer<typeof spanSchema>[] = [];
    const services = new Set<string>();
    const receiver = createServer((request, response) => {
      const pieces: Buffer[] = [];
      request.on('data', (piece: Buffer) => pieces.push(piece));
      request.on('end', () => {
        const { resourceSpans } = receivedSchema.parse(JSON.parse(Buffer.concat(pieces).toString('utf8')));
        for (const { resource, scopeSpans } of resourceSpans) {
          for (const { key, value } of resource.attributes)
            if (key === 'service.name') services.add(value.stringValue);
          received.push(...scopeSpans.flatMap(({ spans }) => spans));
        }
        response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
      });
    }).listen(0, '127.0.0.1');
    await once(receiver, 'listening');
    // Port 4317 is what says gRPC; no other program of this machine listens on this address.
    const host = `127.${(process.pid % 200) + 20}.${process.pid % 250}.3`;
    const config = join(directory, 'collector.yaml');
    await writeFile(
      config,
      `receivers: {otlp: {protocols: {grpc: {endpoint: '${host}:4317'}, http: {endpoint: '${host}:4318'}}}}
exporters:
  otlp_http:
    endpoint: http://127.0.0.1:${(receiver.address() as AddressInfo).port}
    encoding: json
    compression: none
service:
  telemetry: {metrics: {level: none}}
  pipelines: {traces: {receivers: [otlp], exporters: [otlp_http]}}
`,
    );
    const child = run(collector, ['--config', config]);
    let said = '';
    child.stderr?.on('data', (data) => {
      said += data;
    });
    await until('the collector', async () => {
      if (child.exitCode !== null) throw new Error(said);
      return said.includes('Everything is ready');
    });
    const job = madeJob();
    const timeline = timelineOf(wholeRun(1), job.spec.submittedAt);
    if (!timeline) throw new Error('no timeline');
    const trace = traceOf(job, timeline, new Map(), { exitCode: 1, why: 'decode-0 has ended' });
    for (const port of [4318, 4317]) {
      received.length = 0;
      await exportTrace(trace, `http://${host}:${port}`, new AbortController().signal);
      await until('all spans', async () => received.length >= trace.spans.length);
      const nanos = (ms: number): string => `${BigInt(Math.round(ms)) * 1_000_000n}`;
      const byId = <T extends { spanId: string }>(spans: readonly T[]) =>
        [...spans].sort((a, b) => a.spanId.localeCompare(b.spanId));
      expect(byId(received)).toMatchObject(
        byId(
          trace.spans.map(({ id, parent, name, fromMs, toMs, error }) => ({
            ...{ traceId: trace.id, spanId: id, name },
            ...(parent === undefined ? {} : { parentSpanId: parent }),
            ...{ startTimeUnixNano: nanos(fromMs), endTimeUnixNano: nanos(toMs) },
            ...(error === undefined ? {} : { status: { code: 2, message: error } }),
          })),
        ),
      );
    }
    expect([...services]).toEqual(['srtctl']);
    receiver.closeAllConnections();
    receiver.close();
  });
});
