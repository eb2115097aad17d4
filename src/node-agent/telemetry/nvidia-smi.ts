import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { type GpuReading, GpuSeries } from './gpu-series.ts';
import type { Collector } from './sampler.ts';
import type { SeriesBook } from './series-book.ts';

const MIB = 1024 * 1024;

/**
 * Fields of `nvidia-smi --query-gpu` (nvidia-smi --help-query-gpu, releases 470 to 595), and the series that each is. The
 * first three name the GPU. XID errors and NVLink are not among them: DCGM's exporter has both.
 */
const FIELDS: readonly (readonly [field: string, series: string, scale: number])[] = [
  ['utilization.gpu', 'gpu_utilization_percent', 1],
  ['utilization.memory', 'gpu_memory_utilization_percent', 1],
  ['memory.used', 'gpu_memory_used_bytes', MIB],
  ['memory.total', 'gpu_memory_total_bytes', MIB],
  ['power.draw', 'gpu_power_watts', 1],
  ['enforced.power.limit', 'gpu_power_limit_watts', 1],
  ['temperature.gpu', 'gpu_temperature_celsius', 1],
  ['temperature.memory', 'gpu_memory_temperature_celsius', 1],
  ['clocks.sm', 'gpu_sm_clock_hertz', 1e6],
  ['clocks.mem', 'gpu_memory_clock_hertz', 1e6],
  // `clocks_event_reasons` since release 535; a bit mask of nvml.h (nvmlClocksEventReason*).
  ['clocks_event_reasons.active', 'gpu_throttle_reasons', 1],
  ['clocks_throttle_reasons.active', 'gpu_throttle_reasons', 1],
  ['ecc.errors.corrected.volatile.total', 'gpu_ecc_corrected_errors_total', 1],
  ['ecc.errors.uncorrected.volatile.total', 'gpu_ecc_uncorrected_errors_total', 1],
  ['pcie.link.gen.current', 'gpu_pcie_link_generation', 1],
];
const NAMING = ['index', 'uuid', 'name'] as const;

/** Bits of gpu_throttle_reasons that mean less speed (nvml.h): each becomes a series of its own, 0 or 1. */
const REASONS: Readonly<Record<string, bigint>> = {
  gpu_throttle_power_cap: 0x4n,
  gpu_throttle_hardware_slowdown: 0x8n,
  gpu_throttle_software_thermal: 0x20n,
  gpu_throttle_hardware_thermal: 0x40n,
  gpu_throttle_power_brake: 0x80n,
};

/** Fields in the order of the query, without those that this release does not know. */
export const fieldsWithout = (unknown: ReadonlySet<string>): string[] => {
  const all = FIELDS.map(([field]) => field).filter((field) => !unknown.has(field));
  const isNew = all.includes('clocks_event_reasons.active');
  return [...NAMING, ...(isNew ? all.filter((field) => field !== 'clocks_throttle_reasons.active') : all)];
};

/** A line of `--format=csv,noheader,nounits`; undefined for another line. A model's name has no comma. */
export function readingOf(line: string, fields: readonly string[]): GpuReading | undefined {
  const cells = line.split(',').map((cell) => cell.trim());
  const [gpu = '', uuid = '', model = ''] = cells;
  if (cells.length !== fields.length || !/^\d+$/.test(gpu)) return undefined;
  const values: Record<string, number | undefined> = {};
  for (const [field, series, scale] of FIELDS) {
    const at = fields.indexOf(field);
    if (at < 0) continue;
    const text = cells[at] ?? '';
    // `[N/A]`, `[Not Supported]`, `[GPU requires reset]`: it is not known now.
    values[series] = /^(?:0x[\da-f]+|-?[\d.]+)$/i.test(text) ? Number(text) * scale : undefined;
  }
  const mask = values.gpu_throttle_reasons;
  for (const [series, bit] of Object.entries(REASONS))
    values[series] = mask === undefined ? undefined : (BigInt(mask) & bit) === 0n ? 0 : 1;
  return { gpu, uuid, model, values };
}

/** The field that nvidia-smi refuses: `Field "clocks_event_reasons.active" is not a valid field to query.` */
export const unknownField = (text: string): string | undefined =>
  /Field "([\w.]+)" is not a valid field/.exec(text)?.[1];

/** How long the values of a silent nvidia-smi count, intervals. */
const STALE_INTERVALS = 10;
/** How long to wait before nvidia-smi is started again, ms, and how often. */
const AGAIN_MS = 10_000;
const MOST_STARTS = 5;

export interface NvidiaSmiOptions {
  readonly book: SeriesBook;
  readonly intervalMs: number;
  readonly environment: Readonly<Record<string, string>>;
  /** Called once when there will be no values, with the reason. */
  readonly onGone: (why: string) => void;
}

/** One nvidia-smi, which runs as long as the agent and prints all GPUs each interval. */
export class NvidiaSmi implements Collector {
  readonly #options: NvidiaSmiOptions;
  readonly #series: GpuSeries;
  readonly #unknown = new Set<string>();
  #child: ChildProcess | undefined;
  #timer: NodeJS.Timeout | undefined;
  #starts = 0;
  #heardAt = 0;
  #isStopped = false;

  constructor(options: NvidiaSmiOptions) {
    this.#options = options;
    this.#series = new GpuSeries(options.book);
    this.#start();
  }

  collect(): void {
    const silentMs = performance.now() - this.#heardAt;
    if (silentMs > Math.max(STALE_INTERVALS * this.#options.intervalMs, AGAIN_MS)) this.#series.end();
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#child?.kill('SIGKILL');
  }

  #start(): void {
    const { intervalMs, environment } = this.#options;
    const fields = fieldsWithout(this.#unknown);
    const args = [
      `--query-gpu=${fields.join(',')}`,
      '--format=csv,noheader,nounits',
      `--loop-ms=${intervalMs}`,
    ];
    const child = spawn('nvidia-smi', args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    let says = '';
    const hear = (line: string) => {
      const reading = readingOf(line, fields);
      if (reading) {
        this.#heardAt = performance.now();
        this.#series.set(reading);
      } else says = `${says}${line}\n`.slice(-1_000);
    };
    createInterface({ input: child.stdout }).on('line', hear);
    createInterface({ input: child.stderr }).on('line', hear);
    child.once('error', (error: NodeJS.ErrnoException) => {
      this.#end(error.code === 'ENOENT' ? 'there is no nvidia-smi' : String(error));
    });
    child.once('close', (code) => this.#ended(code, says));
  }

  #ended(code: number | null, says: string): void {
    if (this.#isStopped) return;
    if (code === 0 && this.#heardAt === 0) {
      this.#end('nvidia-smi shows no GPU');
      return;
    }
    const field = unknownField(says);
    if (field !== undefined && !this.#unknown.has(field)) {
      this.#unknown.add(field);
      this.#start();
    } else if (++this.#starts >= MOST_STARTS) {
      this.#end(`nvidia-smi ended with code ${code}${says === '' ? '' : `: ${says.trim()}`}`);
    } else {
      this.#timer = setTimeout(() => this.#start(), AGAIN_MS);
      this.#timer.unref();
    }
  }

  #end(why: string): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#series.end();
    this.#options.onGone(why);
  }
}
