/** The series of a GPU that the screen shows (node-agent/telemetry): by their names, what they are here. */
const NAMES = {
  gpu_memory_used_bytes: 'usedBytes',
  gpu_memory_total_bytes: 'totalBytes',
  gpu_utilization_percent: 'utilization',
  gpu_power_watts: 'watts',
  gpu_temperature_celsius: 'celsius',
  gpu_sm_clock_hertz: 'hertz',
} as const;
export type GpuField = (typeof NAMES)[keyof typeof NAMES];

/** The field of a GPU that a series is; undefined for one that the screen does not show. */
export const gpuFieldOf = (name: string): GpuField | undefined =>
  Object.hasOwn(NAMES, name) ? NAMES[name as keyof typeof NAMES] : undefined;

/** A GPU now. `utilization` in percent. */
export type Gpu = Partial<Record<GpuField, number>>;

/** The GPUs of all nodes. */
export class Gpus {
  readonly #nodes = new Map<string, Map<string, Gpu>>();

  /** @param value null: it is not known any more */
  set(node: string, gpu: string, field: GpuField, value: number | null): void {
    const gpus = this.#nodes.get(node) ?? new Map<string, Gpu>();
    this.#nodes.set(node, gpus);
    const known = gpus.get(gpu) ?? {};
    gpus.set(gpu, known);
    if (value === null) delete known[field];
    else known[field] = value;
  }

  /** The GPUs of a node by their index. */
  of(node: string): ReadonlyMap<string, Gpu> {
    return this.#nodes.get(node) ?? new Map<string, Gpu>();
  }

  /** All GPUs of a node together: sums of memory and power, means of the rest. Without GPUs, nothing. */
  together(node: string): Gpu {
    const all = [...this.of(node).values()];
    const sum: Gpu = {};
    for (const field of new Set(Object.values(NAMES))) {
      const values = all.flatMap((gpu) => gpu[field] ?? []);
      if (values.length === 0) continue;
      const total = values.reduce((before, value) => before + value, 0);
      sum[field] = ['usedBytes', 'totalBytes', 'watts'].includes(field) ? total : total / values.length;
    }
    return sum;
  }
}
