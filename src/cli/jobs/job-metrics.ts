import type { Sample as Metric } from '../../reporting/prometheus/exposition.ts';
import type { JobModel } from './job-model.ts';

/** What each of srtctl's own metrics is. docs/how-to/metrics.md lists them. */
const HELP = {
  srtctl_job_state: 'The state of the job: 1 for the one that it is in.',
  srtctl_point_state: 'The state of the current point: 1 for the one that it is in.',
  srtctl_points: 'Points of the sweep, by how they stand.',
  srtctl_process_state: 'The state of a process: 1 for the one that it is in.',
  srtctl_agent_state: 'The state of the agent of a node: 1 for the one that it is in.',
  srtctl_worker_restarts_total: 'How often a worker has started again.',
  srtctl_benchmark_requests_done: 'Requests of the current stage of the benchmark that are done.',
  srtctl_benchmark_requests_failed: 'Requests of the current stage of the benchmark that have failed.',
  srtctl_benchmark_requests_total: 'Requests of the current stage of the benchmark in all.',
  srtctl_benchmark_requests_in_flight: 'Requests of the benchmark that are not answered yet.',
  srtctl_benchmark_output_tokens_per_second:
    'Output tokens per second in the current stage of the benchmark.',
} as const;

/** Metrics of a job as a whole, from its events. Labels are made anew each time, because they are few. */
export function* metricsOfJob(jobId: string, name: string, model: JobModel): Generator<Metric> {
  const metric = (
    metricName: keyof typeof HELP,
    value: number,
    labels: Readonly<Record<string, string>> = {},
  ): Metric => ({
    name: metricName,
    type: metricName.endsWith('restarts_total') ? 'counter' : 'gauge',
    labels: { srtctl_job: jobId, ...labels },
    value,
    help: HELP[metricName],
  });
  yield metric('srtctl_job_state', 1, { job_name: name, state: model.sweep ?? 'submitted' });
  const [ordinal, point] = [...model.points].at(-1) ?? [];
  if (point)
    yield metric('srtctl_point_state', 1, {
      ordinal: String(ordinal),
      point: point.name,
      state: point.state,
    });
  const done = model.results.filter(({ status }) => status === 'done').length;
  yield metric('srtctl_points', done, { state: 'done' });
  yield metric('srtctl_points', model.results.length - done, { state: 'failed' });
  yield metric('srtctl_points', Math.max(0, model.pointCount - model.results.length), { state: 'left' });
  for (const { id, node, role, state } of model.processes.values())
    yield metric('srtctl_process_state', 1, { process: id, node, role, state });
  for (const [node, state] of model.agents) yield metric('srtctl_agent_state', 1, { node, state });
  for (const [endpoint, { restart }] of model.restarts)
    yield metric('srtctl_worker_restarts_total', restart, { endpoint });
  const { progress } = model;
  if (!progress) return;
  const stage = { stage: progress.stage, concurrency: String(progress.concurrency) };
  yield metric('srtctl_benchmark_requests_done', progress.requestsDone, stage);
  yield metric('srtctl_benchmark_requests_failed', progress.failed, stage);
  yield metric('srtctl_benchmark_requests_total', progress.requestsTotal, stage);
  if (progress.inFlight !== undefined)
    yield metric('srtctl_benchmark_requests_in_flight', progress.inFlight, stage);
  yield metric('srtctl_benchmark_output_tokens_per_second', progress.outputThroughput, stage);
}
