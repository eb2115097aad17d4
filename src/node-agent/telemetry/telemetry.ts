import type { Bus } from '../../messages/bus/bus.ts';
import { WIRE_VERSION } from '../../messages/events/events.ts';
import type { Subjects } from '../../messages/events/subjects.ts';
import {
  type DescribeReply,
  describeRequestSchema,
  type PowerReply,
  powerRequestSchema,
  telemetryPackSchema,
} from '../../messages/events/telemetry.ts';
import type { TelemetrySettings } from '../../messages/job-directory/job-files.ts';
import { collectorsOf } from './collectors.ts';
import { Packing } from './packing.ts';
import { Sampler, type SamplerOptions } from './sampler.ts';

export interface TelemetryOptions extends Pick<SamplerOptions, 'environment' | 'incarnation' | 'log'> {
  readonly config: { readonly node: string; readonly telemetry?: TelemetrySettings | undefined };
  readonly bus: Pick<Bus, 'publish' | 'status' | 'subscribe'>;
  readonly subjects: Subjects;
  readonly table: { readonly ready: ReturnType<SamplerOptions['ready']> };
  readonly clock: { readonly now: () => number };
  /** The program that packs logs (telemetry-pack.js). */
  readonly packScript: string;
}

/** An agent's telemetry: samples from now until `end`, in logs that are packed at the end of each point. */
export interface Telemetry {
  /** Resolves when all samples are on disk. Never rejects. */
  end(): Promise<void>;
}

export function startTelemetry(options: TelemetryOptions): Telemetry | undefined {
  const { config, incarnation, bus, subjects, table, environment, clock, packScript, log } = options;
  const { node, telemetry: settings } = config;
  if (!settings) return undefined;
  const sampler: Sampler = new Sampler({
    collectors: collectorsOf(settings, { environment, log }),
    ...{ node, incarnation, settings, bus, subjects, environment, log },
    now: () => clock.now(),
    ready: () => table.ready,
    onBatch: () => packing.batchSent(),
  });
  const packing = new Packing({ sampler, script: packScript, log });
  bus.subscribe(subjects.telemetryDescribe(node), describeRequestSchema, ({ respond }) =>
    respond({ v: WIRE_VERSION, series: sampler.describe() } satisfies DescribeReply),
  );
  bus.subscribe(subjects.telemetryPower(node), powerRequestSchema, ({ message, respond }) => {
    const windows = message.windows.map(({ from, to }) => sampler.power.between(from, to));
    respond({ v: WIRE_VERSION, windows } satisfies PowerReply);
  });
  bus.subscribe(subjects.telemetryPack, telemetryPackSchema, () => packing.pointEnded());
  sampler.start();
  return { end: () => packing.end() };
}
