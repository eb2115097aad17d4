/** Values in texts of /proc, by series. Names are those of Prometheus' node_exporter 1.8, so that its dashboards fit. */

/** A series' name, its labels, and whether it is a counter. */
export interface NodeValue {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

/** Clock ticks of /proc/stat in a second, on every Linux since 2.6. */
const TICKS = 100;
const MODES = ['user', 'nice', 'system', 'idle', 'iowait', 'irq', 'softirq', 'steal'] as const;

/** /proc/stat (proc_stat(5)): seconds of each core in each mode. */
export const cpuOf = (stat: string): NodeValue[] =>
  stat.split('\n').flatMap((line) => {
    const [, cpu, rest] = /^cpu(\d+) (.*)$/.exec(line) ?? [];
    if (cpu === undefined || rest === undefined) return [];
    const ticks = rest.split(' ');
    return MODES.map((mode, at) => ({
      name: 'node_cpu_seconds_total',
      labels: { cpu, mode },
      value: Number(ticks[at]) / TICKS,
    }));
  });

const MEMORY = new Set([
  ...['MemTotal', 'MemFree', 'MemAvailable', 'Buffers', 'Cached', 'Dirty', 'Writeback', 'AnonPages'],
  ...['Mapped', 'Shmem', 'Slab', 'SwapTotal', 'SwapFree', 'Hugetlb'],
]);

/** /proc/meminfo (proc_meminfo(5)). */
export const memoryOf = (meminfo: string): NodeValue[] =>
  meminfo.split('\n').flatMap((line) => {
    const [, name = '', kib] = /^(\w+): +(\d+) kB$/.exec(line) ?? [];
    return MEMORY.has(name) ? [{ name: `node_memory_${name}_bytes`, value: Number(kib) * 1024 }] : [];
  });

/** Columns of /proc/net/dev that are recorded. */
const NETWORK: readonly (readonly [number, string])[] = [
  ...[[0, 'receive_bytes'] as const, [1, 'receive_packets'] as const, [2, 'receive_errs'] as const],
  ...[[3, 'receive_drop'] as const, [8, 'transmit_bytes'] as const, [9, 'transmit_packets'] as const],
  ...[[10, 'transmit_errs'] as const, [11, 'transmit_drop'] as const],
];

/** /proc/net/dev, without interfaces that have never carried a packet, and those of containers. */
export const networkOf = (dev: string): NodeValue[] =>
  dev.split('\n').flatMap((line) => {
    const [, device, rest] = /^ *([^:\s]+): *(.*)$/.exec(line) ?? [];
    if (device === undefined || rest === undefined || /^(?:lo|veth.*)$/.test(device)) return [];
    const values = rest.split(/ +/).map(Number);
    if (!values[1] && !values[9]) return [];
    return NETWORK.map(([at, name]) => ({
      name: `node_network_${name}_total`,
      labels: { device },
      value: values[at] ?? Number.NaN,
    }));
  });

const SECTOR_BYTES = 512;
const DISK = /^(?:sd[a-z]+|vd[a-z]+|xvd[a-z]+|nvme\d+n\d+|md\d+)$/;

/** /proc/diskstats (kernel.org, admin-guide/iostats): whole disks. */
export const disksOf = (diskstats: string): NodeValue[] =>
  diskstats.split('\n').flatMap((line) => {
    const [, , device = '', ...fields] = line.trim().split(/ +/);
    if (!DISK.test(device)) return [];
    const field = (number: number, scale = 1) => Number(fields[number - 1]) * scale;
    const labels = { device };
    return [
      { name: 'node_disk_reads_completed_total', labels, value: field(1) },
      { name: 'node_disk_read_bytes_total', labels, value: field(3, SECTOR_BYTES) },
      { name: 'node_disk_writes_completed_total', labels, value: field(5) },
      { name: 'node_disk_written_bytes_total', labels, value: field(7, SECTOR_BYTES) },
      { name: 'node_disk_io_time_seconds_total', labels, value: field(10, 0.001) },
    ];
  });

const VMSTAT = new Set(['oom_kill', 'pgmajfault', 'pswpin', 'pswpout']);

/** /proc/vmstat. */
export const vmstatOf = (vmstat: string): NodeValue[] =>
  vmstat.split('\n').flatMap((line) => {
    const [name = '', value] = line.split(' ');
    return VMSTAT.has(name) ? [{ name: `node_vmstat_${name}`, value: Number(value) }] : [];
  });

/** /proc/pressure/{cpu,memory,io} (kernel.org, accounting/psi): time in which some or all tasks waited. */
export const pressureOf = (what: string, pressure: string): NodeValue[] =>
  pressure.split('\n').flatMap((line) => {
    const [, who, us] = /^(some|full) .*\btotal=(\d+)$/.exec(line) ?? [];
    if (us === undefined) return [];
    const kind = who === 'some' ? 'waiting' : 'stalled';
    return [{ name: `node_pressure_${what}_${kind}_seconds_total`, value: Number(us) / 1e6 }];
  });

/** /proc/loadavg. */
export const loadOf = (loadavg: string): NodeValue[] => [
  { name: 'node_load1', value: Number(loadavg.split(' ')[0]) },
];
