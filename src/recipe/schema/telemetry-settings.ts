import type { TelemetrySettings } from '../../messages/job-directory/job-files.ts';
import type { ClusterConfig } from './cluster.ts';
import type { Recipe } from './schema.ts';

/** From one sample to the next where the recipe does not say, ms. */
const INTERVAL_MS = 1_000;
/** Reading engines more often would change what is measured. */
const LEAST_MS = 100;

/**
 * What agents record, without the places; undefined: nothing. The recipe's settings come before those of the cluster.
 * Exporters that recipe or cluster name are read where they run on a node already.
 */
export function telemetrySettings(
  recipe: Pick<Recipe, 'telemetry' | 'observability' | 'services'>,
  cluster: Pick<ClusterConfig, 'telemetry' | 'default_gpu_exporter'>,
): Omit<TelemetrySettings, 'directory' | 'machine'> | undefined {
  const { telemetry: own, observability, services } = recipe;
  const { tachometer } = observability ?? {};
  const shared = cluster.telemetry ?? {};
  const isRefused = observability?.scrape_metrics === false || tachometer?.enabled === false;
  if (!(own?.enabled ?? shared.enabled ?? !isRefused)) return undefined;
  const asked = [
    ...[own?.interval_ms, own?.collect_interval_ms, inMs(own?.default_frequency)],
    ...[
      tachometer?.collect_interval_ms,
      inMs(tachometer?.default_frequency),
      shared.interval_ms,
      shared.collect_interval_ms,
    ],
  ].find((each) => typeof each === 'number' && each > 0);
  const gpu = own?.dcgm_exporter ?? tachometer?.dcgm_exporter ?? cluster.default_gpu_exporter;
  const exporters = {
    'gpu-exporter': gpu,
    'node-exporter': own?.node_exporter ?? tachometer?.node_exporter,
    'process-exporter': tachometer?.process_exporter,
    'cpu-power-exporter': own?.cpu_power_exporter && { port: own.cpu_power_exporter.port ?? CPU_POWER_PORT },
  };
  const named = Object.entries(exporters).flatMap(([name, exporter]) =>
    exporter == null ? [] : [{ name, port: exporter.port, path: '/metrics' }],
  );
  const powerMetric = gpu?.gpu_metrics?.power.metric;
  const hasGpuExporter = (services ?? []).some(({ type, enabled }) => enabled && type === 'dcgm-exporter');
  return {
    intervalMs: Math.max(Math.round(Number(asked ?? INTERVAL_MS)), LEAST_MS),
    ...(powerMetric === undefined ? {} : { powerMetric }),
    ...(hasGpuExporter ? { hasGpuExporter } : {}),
    ...(named.length === 0 ? {} : { exporters: named }),
  };
}

/** srt-slurm 2.x, CpuPowerExporterConfig. */
const CPU_POWER_PORT = 9405;

const inMs = (seconds: number | null | undefined): number | undefined =>
  seconds == null ? undefined : seconds * 1000;
