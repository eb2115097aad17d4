import type { EngineProgress, WorkerContext } from './protocol.ts';

/** Metrics of a Dynamo worker's status server that count running requests. */
export const DYNAMO_GAUGES = ['dynamo_component_inflight_requests'] as const;

/**
 * The same, and the bytes of their answers, which grow with each token (work_handler in
 * dynamo/prometheus_names.py, 1.6.1).
 */
export const DYNAMO_PROGRESS = {
  running: ['dynamo_component_inflight_requests{dynamo_endpoint=~"generate"}'],
  counters: ['dynamo_component_response_bytes_total{dynamo_endpoint=~"generate"}'],
} as const;

/** Progress of a Dynamo worker by Dynamo's own metrics, for any engine. */
export function dynamoProgress({
  runtime,
  process: { node, ports, rank },
}: WorkerContext): EngineProgress | undefined {
  if (rank > 0) return undefined;
  const { running, counters } = DYNAMO_PROGRESS;
  return {
    ...{ kind: 'metrics', host: runtime.address(node), port: ports.system, path: '/metrics' },
    running: [...running],
    counters: [...counters],
  };
}
