import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { basename, join } from 'node:path';
import { GpuSeries } from './gpu-series.ts';
import type { Collector } from './sampler.ts';
import type { SeriesBook } from './series-book.ts';

const AMD = '0x1002';

/**
 * Files of the amdgpu driver below a card's device directory, and the series that each is (kernel.org, gpu/amdgpu/thermal
 * and driver-misc). These are the files that rocm-smi reads, in Python and for half a second; reading them takes
 * microseconds and no process. Never run on such hardware.
 */
const FILES: readonly (readonly [file: string, series: string, scale: number])[] = [
  ['gpu_busy_percent', 'gpu_utilization_percent', 1],
  ['mem_busy_percent', 'gpu_memory_utilization_percent', 1],
  ['mem_info_vram_used', 'gpu_memory_used_bytes', 1],
  ['mem_info_vram_total', 'gpu_memory_total_bytes', 1],
];
/** Below its hwmon directory: microwatts, thousandths of a degree, hertz. The first file of a series counts. */
const SENSORS: readonly (readonly [file: string, series: string, scale: number])[] = [
  ['power1_input', 'gpu_power_watts', 1e-6],
  ['power1_average', 'gpu_power_watts', 1e-6],
  ['power1_cap', 'gpu_power_limit_watts', 1e-6],
  ['temp2_input', 'gpu_temperature_celsius', 1e-3],
  ['temp1_input', 'gpu_temperature_celsius', 1e-3],
  ['temp3_input', 'gpu_memory_temperature_celsius', 1e-3],
  ['freq1_input', 'gpu_sm_clock_hertz', 1],
  ['freq2_input', 'gpu_memory_clock_hertz', 1],
];

interface Card {
  readonly directory: string;
  readonly hwmon: string | undefined;
  readonly uuid: string;
  readonly model: string;
}

/** Reads AMD's GPUs from /sys, in the order of their PCI addresses. */
export class AmdGpus implements Collector {
  readonly #series: GpuSeries;
  readonly #cards: readonly Card[];

  constructor(book: SeriesBook, root = '/') {
    this.#series = new GpuSeries(book);
    this.#cards = cardsOf(root);
  }

  get count(): number {
    return this.#cards.length;
  }

  collect(): void {
    for (const [index, { directory, hwmon, uuid, model }] of this.#cards.entries()) {
      const values: Record<string, number | undefined> = {};
      for (const [file, series, scale] of FILES) values[series] ??= number(join(directory, file), scale);
      if (hwmon !== undefined)
        for (const [file, series, scale] of SENSORS) values[series] ??= number(join(hwmon, file), scale);
      const errors = textOf(join(directory, 'ras/umc_err_count')) ?? '';
      values.gpu_ecc_uncorrected_errors_total = errorsOf(errors, 'ue');
      values.gpu_ecc_corrected_errors_total = errorsOf(errors, 'ce');
      this.#series.set({ gpu: String(index), uuid, model, values });
    }
  }
}

function cardsOf(root: string): Card[] {
  const all = join(root, 'sys/class/drm');
  return list(all)
    .filter((name) => /^card\d+$/.test(name))
    .map((name) => join(all, name, 'device'))
    .filter((directory) => textOf(join(directory, 'vendor')) === AMD)
    .map((directory) => ({ directory, address: addressOf(directory) }))
    .sort((a, b) => (a.address < b.address ? -1 : 1))
    .map(({ directory, address }) => {
      const [hwmon] = list(join(directory, 'hwmon'));
      return {
        directory,
        hwmon: hwmon && join(directory, 'hwmon', hwmon),
        uuid: textOf(join(directory, 'unique_id')) ?? address,
        model: textOf(join(directory, 'product_name')) || (textOf(join(directory, 'device')) ?? ''),
      };
    });
}

const addressOf = (directory: string): string => {
  try {
    return basename(realpathSync(directory));
  } catch {
    return directory;
  }
};

const list = (path: string): string[] => {
  try {
    return readdirSync(path).sort();
  } catch {
    return [];
  }
};

/** The text of a file; undefined where it cannot be read, as of a sensor that the card does not have. */
function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1').trim();
  } catch {
    return undefined;
  }
}

function number(path: string, scale: number): number | undefined {
  const text = textOf(path);
  return text !== undefined && /^\d+$/.test(text) ? Number(text) * scale : undefined;
}

/** `ue: 0` and `ce: 3`, a line each. */
function errorsOf(text: string, kind: 'ue' | 'ce'): number | undefined {
  const found = new RegExp(`^${kind}: (\\d+)$`, 'm').exec(text)?.[1];
  return found === undefined ? undefined : Number(found);
}
