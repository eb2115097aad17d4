import { isIPv6 } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { Bus } from '../../../messages/bus/bus.ts';
import { EXIT, SrtctlError } from '../../../os/errors.ts';
import type { JobOnDisk } from '../../jobs/job-dir.ts';
import type { JobModel } from '../../jobs/job-model.ts';
import { JOB_WORDS, OUTPUT_OPTION } from '../../terminal/options.ts';
import { writeExactly } from '../../terminal/terminal.ts';

interface MetricsOptions {
  readonly output?: string;
  readonly prometheus?: string;
  readonly once?: boolean;
  readonly match?: string;
}

/** How long an agent may take to send its series. */
const DESCRIBE_MS = 3_000;
/** How long --once waits for a batch of each agent, which comes each second by default. */
const FIRST_BATCH_MS = 5_000;
const LOOK_FOR_BATCH_MS = 20;
/** From one look at whether the job has ended to the next. */
const LOOK_EVERY_MS = 1_000;

export function registerMetrics(program: Command): void {
  program
    .command('metrics')
    .description("Serve a running job's telemetry to Prometheus, until the job ends.")
    .argument('[job]', JOB_WORDS, 'latest')
    .option(...OUTPUT_OPTION)
    .option(
      '--prometheus <address>',
      '[host]:port of /metrics; without a host on every address of this machine',
    )
    .option(
      '--match <expression>',
      'only metrics of engines and nodes whose name matches this regular expression',
    )
    .option('--once', 'print the metrics of now, and end')
    .addHelpText(
      'after',
      `
All metrics of engines, routers, services, nodes and GPUs, and srtctl's own of the job. docs/how-to/metrics.md has a
configuration of Prometheus, and a dashboard for Grafana is docs/grafana/srtctl.json.

Examples:
  srtctl metrics latest --prometheus :9400
  srtctl metrics 1234567 --prometheus localhost:9400
  srtctl metrics latest --prometheus :9400 --match '^(sglang|vllm):num_'
  srtctl metrics latest --once | grep num_running_reqs`,
    )
    .action(showMetrics);
}

/** @throws SrtctlError when the text is no address */
function addressOf(text: string): { host: string | undefined; port: number } {
  const [, name = '', port = ''] = /^(.*):(\d{1,5})$/.exec(text) ?? [];
  const host = name.replaceAll(/^\[|\]$/g, '');
  if (port === '' || Number(port) > 65_535 || (host.includes(':') && !isIPv6(host)))
    throw new SrtctlError('usage', `--prometheus ${text} is not [host]:port`, {
      hint: 'such as :9400 or localhost:9400',
    });
  return { host: host === '' ? undefined : host, port: Number(port) };
}

async function showMetrics(told: string, { output, prometheus, once, match }: MetricsOptions): Promise<void> {
  if ((prometheus === undefined) !== (once === true))
    throw new SrtctlError('usage', 'one of --prometheus and --once is needed');
  const address = prometheus === undefined ? undefined : addressOf(prometheus);
  const { patternOf } = await import('../../terminal/since.ts');
  const pattern = match === undefined ? undefined : patternOf(match, false, '--match');
  const { findJob, isOver, outputsRoot } = await import('../../jobs/job-dir.ts');
  const { wayInto } = await import('../../jobs/way-in.ts');
  const { connectOperator } = await import('../../jobs/operator-bus.ts');
  const job = await findJob(told, outputsRoot(output));
  // It says why a job has no bus.
  await wayInto(job);
  const bus = await connectOperator(job, 'metrics');
  if (!bus)
    throw new SrtctlError('no-bus', `the bus of job ${job.jobId} cannot be reached from this machine`);
  const { text, complete } = await read(bus, job, pattern);
  try {
    if (!address) {
      await complete();
      writeExactly(text());
      return;
    }
    const { serveMetrics } = await import('../../../reporting/prometheus/server.ts');
    const server = await serveMetrics(address, text);
    const actual = server.address();
    const port = typeof actual === 'object' && actual ? actual.port : address.port;
    const { host = '0.0.0.0' } = address;
    process.stdout.write(
      `metrics of job ${job.jobId}: http://${host.includes(':') ? `[${host}]` : host}:${port}/metrics\n`,
    );
    let isStopped = false;
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      process.once(signal, () => {
        isStopped = true;
      });
    while (!isStopped && !(await isOver(job))) await sleep(LOOK_EVERY_MS);
    server.close();
    server.closeAllConnections();
    if (!isStopped) process.stdout.write(`job ${job.jobId} has ended\n`);
    process.exitCode = EXIT.ok;
  } finally {
    await bus.close(500);
  }
}

interface Reading {
  /** The text of a scrape. */
  text(): string;
  /** Resolves when the metrics of all agents are known, or some agent stays silent for too long. */
  complete(): Promise<void>;
}

/** Follows a job's telemetry and events. */
async function read(bus: Bus, job: JobOnDisk, pattern: RegExp | undefined): Promise<Reading> {
  const { subjectsOf } = await import('../../../messages/events/subjects.ts');
  const telemetry = await import('../../../messages/events/telemetry.ts');
  const { heartbeatSchema, progressMessageSchema } = await import('../../../messages/events/control.ts');
  const { WIRE_VERSION } = await import('../../../messages/events/events.ts');
  const { LiveMetrics: Live } = await import('../../../reporting/prometheus/live-metrics.ts');
  const { exposition } = await import('../../../reporting/prometheus/exposition.ts');
  const { JobModel: Model } = await import('../../jobs/job-model.ts');
  const { metricsOfJob } = await import('../../jobs/job-metrics.ts');
  const { jobId, spec } = job;
  const subjects = subjectsOf(jobId);
  const model: JobModel = new Model();
  const live = new Live(
    jobId,
    (process) => model.processes.get(process)?.role,
    (name) => pattern?.test(name) ?? true,
  );
  const asked = new Map<string, string>();
  /** Has an agent send its series, which come by themselves within 30 s, too. */
  const ask = (node: string): Promise<unknown> => {
    const question = { v: WIRE_VERSION };
    return bus
      .request(subjects.telemetryDescribe(node), question, telemetry.describeReplySchema, DESCRIBE_MS)
      .catch(() => undefined);
  };
  bus.subscribe(subjects.telemetrySeries('*'), telemetry.telemetrySeriesSchema, ({ message }) =>
    live.describe(message),
  );
  bus.subscribe(subjects.telemetrySamples('*'), telemetry.telemetrySamplesSchema, ({ message }) =>
    live.sample(message, performance.now()),
  );
  bus.subscribe(subjects.pointProgress('*'), progressMessageSchema, ({ message }) =>
    model.takeProgress(message),
  );
  bus.subscribe(subjects.heartbeat('*'), heartbeatSchema, ({ message: { node, incarnation, leaving } }) => {
    if (leaving) asked.delete(node);
    else if (asked.get(node) !== incarnation) {
      asked.set(node, incarnation);
      void ask(node);
    }
  });
  bus.onConnection((connected) => {
    if (connected) for (const node of asked.keys()) void ask(node);
  });
  const events = bus.follow(1, (event) => void model.take(event));
  const all = function* () {
    yield* metricsOfJob(jobId, spec.name, model);
    yield* live.samples(performance.now());
  };
  return {
    text: () => [...exposition(all())].join(''),
    async complete() {
      await events.caughtUp();
      const agents = [...model.agents].flatMap(([node, state]) => (state === 'joined' ? [node] : []));
      // An agent sends its series before it answers.
      await Promise.all(agents.map(ask));
      const until = performance.now() + FIRST_BATCH_MS;
      const missing = () => {
        const there = new Set(live.nodes(performance.now()));
        return agents.some((node) => !there.has(node));
      };
      while (missing() && performance.now() < until) await sleep(LOOK_FOR_BATCH_MS);
    },
  };
}
