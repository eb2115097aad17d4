import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  cpuOf,
  disksOf,
  loadOf,
  memoryOf,
  type NodeValue,
  networkOf,
  pressureOf,
  vmstatOf,
} from './node-files.ts';
import type { Collector } from './sampler.ts';
import type { SeriesBook } from './series-book.ts';

/** Files of /proc, and what is in them. */
const PROC: readonly (readonly [string, (text: string) => NodeValue[]])[] = [
  ['stat', cpuOf],
  ['loadavg', loadOf],
  ['meminfo', memoryOf],
  ['net/dev', networkOf],
  ['diskstats', disksOf],
  ['vmstat', vmstatOf],
  ...['cpu', 'memory', 'io'].map(
    (what) => [`pressure/${what}`, (text: string) => pressureOf(what, text)] as const,
  ),
];

/**
 * Counters of a port of InfiniBand or RoCE (kernel.org, ABI/stable/sysfs-class-infiniband), by node_exporter's names. Data
 * is counted in words of four bytes.
 */
const PORT: Readonly<Record<string, readonly [name: string, scale: number]>> = {
  'counters/port_rcv_data': ['port_data_received_bytes', 4],
  'counters/port_xmit_data': ['port_data_transmitted_bytes', 4],
  'counters/port_rcv_packets': ['port_packets_received', 1],
  'counters/port_xmit_packets': ['port_packets_transmitted', 1],
  'counters/port_xmit_wait': ['port_transmit_wait', 1],
  'counters/port_rcv_errors': ['port_errors_received', 1],
  'counters/port_xmit_discards': ['port_discards_transmitted', 1],
  'counters/symbol_error': ['symbol_error', 1],
  'counters/link_downed': ['link_downed', 1],
  'counters/link_error_recovery': ['link_error_recovery', 1],
  'hw_counters/out_of_sequence': ['out_of_sequence', 1],
  'hw_counters/packet_seq_err': ['packet_seq_err', 1],
  'hw_counters/local_ack_timeout_err': ['local_ack_timeout_err', 1],
  'hw_counters/rnr_nak_retry_err': ['rnr_nak_retry_err', 1],
  'hw_counters/np_cnp_sent': ['np_cnp_sent', 1],
  'hw_counters/rp_cnp_handled': ['rp_cnp_handled', 1],
};

/** A file of /sys with one number, and the series that it is. */
interface NumberFile {
  readonly path: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly scale: number;
}

/**
 * Reads the node: CPU, memory, network, disks, InfiniBand, and the power that its sensors report. Files of /proc and /sys
 * are read without waiting for a disk, so this takes some 1 ms.
 */
export class NodeCollector implements Collector {
  readonly #book: SeriesBook;
  readonly #root: string;
  readonly #ids = new Map<string, number>();
  readonly #numbers: readonly NumberFile[];

  /** @param root where /proc and /sys are */
  constructor(book: SeriesBook, root = '/') {
    this.#book = book;
    this.#root = root;
    this.#numbers = [...portFiles(root), ...powerFiles(root)];
  }

  collect(): void {
    for (const [file, valuesOf] of PROC) {
      const text = this.#read(join('proc', file));
      if (text !== undefined) for (const value of valuesOf(text)) this.#set(value);
    }
    const watts = { module: 0, whole: 0 };
    for (const { path, name, labels, scale } of this.#numbers) {
      const text = this.#read(path);
      if (text === undefined || !/^\d+\s*$/.test(text)) continue;
      const value = Number(text) * scale;
      this.#set({ name, labels, value });
      if (name === POWER && labels.sensor === '') watts.whole += value;
      if (name === POWER && /^Module Power/.test(labels.sensor ?? '')) watts.module += value;
    }
    const power = watts.module || watts.whole;
    if (power > 0) this.#set({ name: 'node_power_watts', value: power });
  }

  #read(path: string): string | undefined {
    try {
      return readFileSync(join(this.#root, path), 'latin1');
    } catch {
      return undefined;
    }
  }

  #set({ name, labels = {}, value }: NodeValue): void {
    if (Number.isNaN(value)) return;
    const key = `${name}\0${Object.values(labels).join('\0')}`;
    let id = this.#ids.get(key);
    if (id === undefined) {
      const isCounter = name.endsWith('_total') || name.startsWith('node_vmstat_');
      id = this.#book.add({ name, labels, type: isCounter ? 'counter' : 'gauge' });
      this.#ids.set(key, id);
    }
    this.#book.set(id, value);
  }
}

const POWER = 'node_hwmon_power_average_watts';

const list = (root: string, path: string): string[] => {
  try {
    return readdirSync(join(root, path)).sort();
  } catch {
    return [];
  }
};

function portFiles(root: string): NumberFile[] {
  const all = 'sys/class/infiniband';
  return list(root, all).flatMap((device) =>
    list(root, `${all}/${device}/ports`).flatMap((port) => {
      const at = `${all}/${device}/ports/${port}`;
      const there = ['counters', 'hw_counters'].flatMap((folder) =>
        list(root, `${at}/${folder}`).map((file) => `${folder}/${file}`),
      );
      return there.flatMap((file): NumberFile[] => {
        const known = PORT[file];
        if (!known) return [];
        const [name, scale] = known;
        return [
          { path: `${at}/${file}`, name: `node_infiniband_${name}_total`, labels: { device, port }, scale },
        ];
      });
    }),
  );
}

/**
 * Power sensors of the ACPI power meter, in microwatts (kernel.org, hwmon/acpi_power_meter): without a text of the maker it
 * is the whole node; on NVIDIA Grace the text names the part, such as `Module Power Socket 0` (NVIDIA Grace Performance
 * Tuning Guide, Power and Thermal Management). Never run on such hardware.
 */
function powerFiles(root: string): NumberFile[] {
  const all = 'sys/class/hwmon';
  return list(root, all).flatMap((chip) => {
    const at = `${all}/${chip}`;
    const text = (file: string): string => {
      try {
        return readFileSync(join(root, at, file), 'latin1').trim();
      } catch {
        return '';
      }
    };
    if (text('name') !== 'power_meter') return [];
    const sensor = text('device/power1_oem_info') || text('power1_oem_info');
    const folder = list(root, at).includes('power1_average') ? at : `${at}/device`;
    return [{ path: `${folder}/power1_average`, name: POWER, labels: { chip, sensor }, scale: 1e-6 }];
  });
}
