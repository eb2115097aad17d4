import type { TelemetrySettings } from '../../messages/job-directory/job-files.ts';
import { AmdGpus } from './amdgpu.ts';
import { NodeCollector } from './node-collector.ts';
import { NvidiaSmi } from './nvidia-smi.ts';
import type { Collector, SamplerOptions } from './sampler.ts';
import type { SeriesBook } from './series-book.ts';

/** What an agent reads besides the metrics of its processes: its node, and the GPUs unless an exporter reads them. */
export function collectorsOf(
  settings: TelemetrySettings,
  { environment, log }: Pick<SamplerOptions, 'environment' | 'log'>,
): (book: SeriesBook) => readonly Collector[] {
  return (book) => {
    if (!settings.machine) return [];
    const node = new NodeCollector(book);
    if (settings.hasGpuExporter) return [node];
    const amd = new AmdGpus(book);
    if (amd.count > 0) return [node, amd];
    const onGone = (why: string) => log.warn({ why }, 'no telemetry of GPUs on this node');
    return [node, new NvidiaSmi({ book, intervalMs: settings.intervalMs, environment, onGone })];
  };
}
