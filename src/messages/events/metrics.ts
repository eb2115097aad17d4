import * as z from 'zod';
import { WIRE_VERSION } from './events.ts';

/** Values from an engine's /metrics, every few seconds; not kept. */
export const processMetricsSchema = z.object({
  v: z.literal(WIRE_VERSION),
  at: z.string(),
  node: z.string(),
  process: z.string(),
  /** By the engine's own metric names, summed over their labels. */
  values: z.record(z.string(), z.number()),
});
export type ProcessMetrics = z.infer<typeof processMetricsSchema>;
