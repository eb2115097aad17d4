import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { NodeCollector } from '../../../src/node-agent/telemetry/node-collector.ts';
import { SeriesBook } from '../../../src/node-agent/telemetry/series-book.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'srtctl-node-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

const put = (path: string, text: string) => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
};
const read = () => {
  const book = new SeriesBook();
  const node = new NodeCollector(book, root);
  node.collect();
  return Object.fromEntries(
    book
      .describe(book.ids())
      .map(({ name, labels, value }) => [[name, ...Object.values(labels)].join(' '), value]),
  );
};

describe('the telemetry of a node', () => {
  it('has CPU by core, memory, network, disks and pressure from /proc', () => {
    put(
      'proc/stat',
      'cpu  9 9 9 9 9 9 9 9 0 0\ncpu0 118433 6609 33777 76047 140 0 1267 158 0 0\ncpu1 1 2 3 4 5 6 7 8 0 0\nintr 1\n',
    );
    put('proc/loadavg', '1.50 1.2 1.1 3/400 1234\n');
    put(
      'proc/meminfo',
      'MemTotal:       24684092 kB\nMemAvailable:   20373996 kB\nVmallocTotal:   1 kB\nHugePages_Total:       0\n',
    );
    put(
      'proc/net/dev',
      'Inter-|   Receive  |  Transmit\n face |bytes    packets errs\n    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n  ib0: 1000 10 1 2 0 0 0 0 2000 20 3 4 0 0 0 0\n unused: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n',
    );
    put(
      'proc/diskstats',
      ' 259 0 nvme0n1 100 0 8 0 50 0 16 0 0 1500 0 0 0 0 0 0 0\n 259 1 nvme0n1p1 1 0 1 0 1 0 1 0 0 1 0\n   7 0 loop0 0 0 0\n',
    );
    put('proc/vmstat', 'nr_free_pages 1\noom_kill 2\n');
    put(
      'proc/pressure/memory',
      'some avg10=0.00 avg60=0.00 avg300=0.00 total=1500000\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=500000\n',
    );
    expect(read()).toMatchObject({
      'node_cpu_seconds_total 0 user': 1184.33,
      'node_cpu_seconds_total 1 steal': 0.08,
      node_load1: 1.5,
      node_memory_MemTotal_bytes: 24_684_092 * 1024,
      'node_network_receive_bytes_total ib0': 1000,
      'node_network_transmit_drop_total ib0': 4,
      'node_disk_read_bytes_total nvme0n1': 4096,
      'node_disk_io_time_seconds_total nvme0n1': 1.5,
      node_vmstat_oom_kill: 2,
      node_pressure_memory_waiting_seconds_total: 1.5,
      node_pressure_memory_stalled_seconds_total: 0.5,
    });
    expect(Object.keys(read()).filter((name) => /lo\b|unused|p1|loop|Vmalloc/.test(name))).toEqual([]);
  });

  it('has the counters of InfiniBand in bytes, and the power that sensors report', () => {
    const port = 'sys/class/infiniband/mlx5_0/ports/1';
    put(`${port}/counters/port_rcv_data`, '250\n');
    put(`${port}/counters/link_downed`, '1\n');
    put(`${port}/counters/VL15_dropped`, '1\n');
    put(`${port}/hw_counters/out_of_sequence`, '7\n');
    put('sys/class/hwmon/hwmon0/name', 'coretemp\n');
    put('sys/class/hwmon/hwmon1/name', 'power_meter\n');
    put('sys/class/hwmon/hwmon1/device/power1_average', '4200000000\n');
    expect(read()).toEqual({
      'node_infiniband_port_data_received_bytes_total mlx5_0 1': 1000,
      'node_infiniband_link_downed_total mlx5_0 1': 1,
      'node_infiniband_out_of_sequence_total mlx5_0 1': 7,
      'node_hwmon_power_average_watts hwmon1 ': 4200,
      node_power_watts: 4200,
    });
  });

  it('adds the modules of a Grace node, whose sensors say which part they are', () => {
    for (const [at, text, watts] of [
      [0, 'Module Power Socket 0', 300],
      [1, 'Grace Power Socket 0', 100],
      [2, 'Module Power Socket 1', 320],
    ] as const) {
      put(`sys/class/hwmon/hwmon${at}/name`, 'power_meter\n');
      put(`sys/class/hwmon/hwmon${at}/device/power1_oem_info`, `${text}\n`);
      put(`sys/class/hwmon/hwmon${at}/device/power1_average`, `${watts * 1e6}\n`);
    }
    expect(read()).toMatchObject({ node_power_watts: 620 });
  });

  it('is what there is', () => {
    expect(read()).toEqual({});
  });
});
