import * as z from 'zod';
import { WIRE_VERSION } from './events.ts';

/** What an engine's /metrics says, each few seconds; not kept. */
export const processMetricsSchema = z.object({
  v: z.literal(WIRE_VERSION),
  at: z.string(),
  node: z.string(),
  process: z.string(),
  /** By the engine's own names, the sum over their labels. */
  values: z.record(z.string(), z.number()),
});
export type ProcessMetrics = z.infer<typeof processMetricsSchema>;
