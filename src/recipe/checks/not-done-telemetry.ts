import { VAIN, YET } from '../../model/checks.ts';
import type { Recipe } from '../schema/schema.ts';

const OWN = `${VAIN}srtctl records by itself, below telemetry/ in the job's directory`;
const EXPORTER = `${YET}the exporter is read where it runs, and srtctl does not start it; services: [{type: dcgm-exporter}] and the other kinds start exporters`;

/** Settings of recorders that srtctl replaces. */
const OF_RECORDERS = [
  ...['binary_path', 'sync_interval_secs', 'compaction_threads', 'storage_subdir'],
] as const;
const OF_TELEMETRY = [
  ...OF_RECORDERS,
  ...(['provider', 'container_image', 'startup_timeout_seconds', 'request_timeout_seconds'] as const),
  'collector_join_timeout_seconds',
] as const;
const OF_TACHOMETER = [...OF_RECORDERS, 'shutdown_grace_secs', 'default_exporters'] as const;

/** Options of `telemetry` and `observability` that srtctl does not support. */
export function telemetryNotDone({
  telemetry,
  observability,
}: Recipe): { readonly path: string; readonly text: string }[] {
  const tachometer = observability?.tachometer;
  const rules: readonly (readonly [path: string, isAsked: boolean, text: string])[] = [
    ...OF_TELEMETRY.map((key) => [`telemetry.${key}`, telemetry?.[key] != null, OWN] as const),
    [
      'telemetry.extra_metadata',
      telemetry?.extra_metadata != null,
      `${YET}samples have the labels of their source alone`,
    ],
    [
      'telemetry.required',
      telemetry?.required === true,
      `${YET}a run does not fail when nothing could be recorded`,
    ],
    [
      'telemetry.clock_sync_check',
      telemetry?.clock_sync_check === true,
      `${YET}clocks are measured, and a run goes on when they differ`,
    ],
    [
      'telemetry.cpu_power',
      telemetry?.cpu_power?.enabled === true,
      `${YET}the CPUs' power is not recorded by itself; that of the node is, where it has a sensor`,
    ],
    [
      'telemetry.live_metrics',
      telemetry?.live_metrics?.enabled === true,
      `${YET}no picture is drawn; srtctl watch shows a run`,
    ],
    ...(['dcgm_exporter', 'node_exporter', 'cpu_power_exporter'] as const).map(
      (key) => [`telemetry.${key}`, telemetry?.[key] != null, EXPORTER] as const,
    ),
    ...OF_TACHOMETER.map(
      (key) => [`observability.tachometer.${key}`, tachometer?.[key] != null, OWN] as const,
    ),
    ...(['dcgm_exporter', 'node_exporter', 'process_exporter', 'default_gpu_exporter'] as const).map(
      (key) => [`observability.tachometer.${key}`, tachometer?.[key] != null, EXPORTER] as const,
    ),
    [
      'observability.tachometer.extra_metadata',
      tachometer?.extra_metadata != null,
      `${YET}samples have the labels of their source alone`,
    ],
    [
      'observability.host_sampler_all_nodes',
      observability?.host_sampler_all_nodes === true,
      `${YET}processes of nodes are not sampled one by one`,
    ],
  ];
  return rules.flatMap(([path, isAsked, text]) => (isAsked ? [{ path, text }] : []));
}
