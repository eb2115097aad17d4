import * as z from 'zod';

/** One GPU of a node, as its own tool reports it; null: the tool does not say. */
export interface GpuReport {
  readonly index: number;
  readonly name: string;
  /** Share of time in which a kernel ran, percent. */
  readonly usePercent: number | null;
  readonly memoryUsedMib: number | null;
  readonly memoryTotalMib: number | null;
  readonly powerW: number | null;
  readonly temperatureC: number | null;
}

/** Fields of nvidia-smi (`nvidia-smi --help-query-gpu`, 535 to 580), in the order of `nvidiaReports`. */
const FIELDS = [
  ...['index', 'name', 'utilization.gpu', 'memory.used', 'memory.total', 'power.draw', 'temperature.gpu'],
];
export const NVIDIA_COMMAND: readonly string[] = [
  ...['nvidia-smi', `--query-gpu=${FIELDS.join(',')}`, '--format=csv,noheader,nounits'],
];

/** The answer of nvidia-smi. A value that a GPU has not is `[N/A]` or `[Not Supported]`. */
export function nvidiaReports(csv: string): GpuReport[] {
  return csv.split('\n').flatMap((line) => {
    const [index = '', name, use, used, total, power, temperature] = line
      .split(',')
      .map((cell) => cell.trim());
    if (!/^\d+$/.test(index) || name === undefined) return [];
    return {
      ...{ index: Number(index), name, usePercent: numberIn(use) },
      ...{ memoryUsedMib: numberIn(used), memoryTotalMib: numberIn(total) },
      ...{ powerW: numberIn(power), temperatureC: numberIn(temperature) },
    };
  });
}

export const ROCM_COMMAND: readonly string[] = [
  ...[
    'rocm-smi',
    '--showproductname',
    '--showuse',
    '--showmeminfo',
    'vram',
    '--showpower',
    '--showtemp',
    '--json',
  ],
];
const rocmSchema = z.record(z.string(), z.record(z.string(), z.string()));
const MIB = 1_048_576;

/**
 * The answer of rocm-smi: an object for each card, with values as text. Names of power and temperature differ among
 * releases and cards (edge, junction; average, current socket), so the first one counts.
 */
export function rocmReports(json: string): GpuReport[] {
  let cards: z.infer<typeof rocmSchema>;
  try {
    cards = rocmSchema.parse(JSON.parse(json));
  } catch {
    return [];
  }
  return Object.entries(cards).flatMap(([card, values]) => {
    const index = /^card(\d+)$/.exec(card)?.[1];
    if (index === undefined) return [];
    const find = (name: RegExp) => Object.entries(values).find(([key]) => name.test(key))?.[1];
    const mib = (name: RegExp) => {
      const bytes = numberIn(find(name));
      return bytes === null ? null : Math.round(bytes / MIB);
    };
    return {
      ...{ index: Number(index), name: find(/^Card Series$/i) ?? find(/^Card Model$/i) ?? card },
      usePercent: numberIn(find(/^GPU use \(%\)$/i)),
      memoryUsedMib: mib(/^VRAM Total Used Memory \(B\)$/i),
      memoryTotalMib: mib(/^VRAM Total Memory \(B\)$/i),
      powerW: numberIn(find(/Package Power \(W\)$/i)),
      temperatureC: numberIn(find(/^Temperature \(Sensor (edge|junction)\) \(C\)$/i)),
    };
  });
}

const numberIn = (text: string | undefined): number | null =>
  text !== undefined && /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : null;
