import type { ClusterConfig } from './cluster.ts';
import type { Recipe } from './schema.ts';

/** From one sample to the next where the recipe does not say, ms. */
const INTERVAL_MS = 1_000;
/** Reading engines more often would change what is measured. */
const LEAST_MS = 100;

/** Whether agents record telemetry, and how often, ms; undefined: they do not. The recipe's settings come first. */
export function telemetryIntervalMs(
  recipe: Pick<Recipe, 'telemetry' | 'observability'>,
  cluster: Pick<ClusterConfig, 'telemetry'>,
): number | undefined {
  const { telemetry: own, observability } = recipe;
  const shared = cluster.telemetry ?? {};
  if ((own?.enabled ?? shared.enabled) === false || observability?.scrape_metrics === false) return undefined;
  const asked = [
    ...[own?.interval_ms, own?.collect_interval_ms, inMs(own?.default_frequency)],
    observability?.tachometer?.collect_interval_ms,
    ...[shared.interval_ms, shared.collect_interval_ms],
  ].find((each) => typeof each === 'number' && each > 0);
  return Math.max(Math.round(Number(asked ?? INTERVAL_MS)), LEAST_MS);
}

const inMs = (seconds: number | null | undefined): number | undefined =>
  seconds == null ? undefined : seconds * 1000;
