import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import * as z from 'zod';
import {
  type TelemetrySamples,
  type TelemetrySeries,
  telemetrySamplesSchema,
  telemetrySeriesSchema,
} from '../messages/events/telemetry.ts';

/**
 * The messages in an agent's log, in order. The last line of a killed agent may be cut: a line that cannot be read is left
 * out. Lines were made by an agent of the same release, so only their shape is checked and not each sample.
 */
export async function* readLog(path: string): AsyncGenerator<TelemetrySeries | TelemetrySamples> {
  const lines = createInterface({
    input: createReadStream(path, 'utf8'),
    crlfDelay: Number.POSITIVE_INFINITY,
  });
  for await (const line of lines) {
    const value = parsed(line);
    const series = seriesLine.safeParse(value);
    if (series.success) yield series.data;
    else {
      const samples = samplesLine.safeParse(value);
      if (samples.success) yield samples.data;
    }
  }
}

const seriesLine = telemetrySeriesSchema;
const samplesLine = telemetrySamplesSchema.extend({
  samples: z.custom<TelemetrySamples['samples']>(Array.isArray),
});

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
