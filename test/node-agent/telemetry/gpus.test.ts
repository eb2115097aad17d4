import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AmdGpus } from '../../../src/node-agent/telemetry/amdgpu.ts';
import { fieldsWithout, NvidiaSmi, readingOf } from '../../../src/node-agent/telemetry/nvidia-smi.ts';
import { SeriesBook } from '../../../src/node-agent/telemetry/series-book.ts';
import { until } from '../../support/bus.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'srtctl-gpus-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const valuesOf = (book: SeriesBook) =>
  Object.fromEntries(
    book.describe(book.ids()).map(({ name, labels, value }) => [`${name} ${labels.gpu ?? ''}`.trim(), value]),
  );

/**
 * Values of an H200 with driver 590.48.01 under load that the project nvidia_gpu_exporter has published, in the form in
 * which `--format=csv,noheader,nounits` prints them (nvidia-smi's manual); the second GPU has texts for unknown values.
 */
const H200 =
  '0, GPU-604ac76c-d9cf-fef3-62e9-d92044ab6e52, NVIDIA H200, 100, 37, 32322, 143771, 698.61, 700.00, 55, 61, 1980, 3201, 0x0000000000000004, 0, 0, 5';
const BROKEN =
  '1, GPU-04757e3e-3077-4e2e-b988-7e2d647b52e9, NVIDIA H200, [N/A], [Not Supported], 0, 143771, [Unknown Error], 700.00, 30, [N/A], 345, 3201, 0x0000000000000001, [N/A], [N/A], [GPU requires reset]';

describe('a line of nvidia-smi', () => {
  const fields = fieldsWithout(new Set());

  it('has the values of a GPU in the units of their names', () => {
    expect(readingOf(H200, fields)).toEqual({
      gpu: '0',
      uuid: 'GPU-604ac76c-d9cf-fef3-62e9-d92044ab6e52',
      model: 'NVIDIA H200',
      values: {
        gpu_utilization_percent: 100,
        gpu_memory_utilization_percent: 37,
        gpu_memory_used_bytes: 32_322 * 1024 * 1024,
        gpu_memory_total_bytes: 143_771 * 1024 * 1024,
        gpu_power_watts: 698.61,
        gpu_power_limit_watts: 700,
        gpu_temperature_celsius: 55,
        gpu_memory_temperature_celsius: 61,
        gpu_sm_clock_hertz: 1.98e9,
        gpu_memory_clock_hertz: 3.201e9,
        gpu_throttle_reasons: 4,
        gpu_throttle_power_cap: 1,
        gpu_throttle_hardware_slowdown: 0,
        gpu_throttle_software_thermal: 0,
        gpu_throttle_hardware_thermal: 0,
        gpu_throttle_power_brake: 0,
        gpu_ecc_corrected_errors_total: 0,
        gpu_ecc_uncorrected_errors_total: 0,
        gpu_pcie_link_generation: 5,
      },
    });
  });

  it('has no value where the GPU does not state one', () => {
    const known = Object.entries(readingOf(BROKEN, fields)?.values ?? {}).filter(
      ([, value]) => value !== undefined,
    );
    expect(known.map(([name]) => name)).not.toContain('gpu_power_watts');
    expect(Object.fromEntries(known)).toMatchObject({
      gpu_temperature_celsius: 30,
      gpu_sm_clock_hertz: 345e6,
    });
  });

  it('of another kind is no reading', () => {
    for (const line of [
      '',
      'No devices were found',
      'index, uuid',
      'NVIDIA-SMI has failed because it could not communicate',
    ])
      expect(readingOf(line, fields)).toBeUndefined();
  });
});

describe('nvidia-smi', () => {
  const start = (script: string) => {
    writeFileSync(join(directory, 'nvidia-smi'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return open({ PATH: `${directory}:/usr/bin:/bin` });
  };
  const open = (environment: Record<string, string>) => {
    const gone: string[] = [];
    const book = new SeriesBook();
    const smi = new NvidiaSmi({ book, intervalMs: 100, environment, onGone: (why) => gone.push(why) });
    return { book, gone, smi };
  };

  it('runs once and is read as it prints; a release without a field is asked again without it', async () => {
    const { book, smi, gone } = start(
      `case "$1" in *clocks_event*) echo 'Field "clocks_event_reasons.active" is not a valid field to query.'; exit 2 ;; esac
case "$1" in *clocks_throttle_reasons.active*) ;; *) exit 3 ;; esac
echo '${H200}'; exec sleep 1000`,
    );
    try {
      await until('a reading', () => book.size > 0);
      smi.collect();
      expect(valuesOf(book)).toMatchObject({ 'gpu_power_watts 0': 698.61, 'gpu_throttle_power_cap 0': 1 });
      expect(gone).toEqual([]);
    } finally {
      smi.stop();
    }
  });

  it('that is not there, or shows no GPU, is reported once', async () => {
    const missing = open({ PATH: directory });
    await until('the reason', () => missing.gone.length > 0);
    const empty = start('exit 0');
    await until('the other reason', () => empty.gone.length > 0);
    expect([...missing.gone, ...empty.gone]).toEqual(['there is no nvidia-smi', 'nvidia-smi shows no GPU']);
  });
});

describe('the GPUs of AMD', () => {
  const put = (path: string, text: string) => {
    const file = join(directory, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${text}\n`);
  };
  /** Files as the kernel's documentation of amdgpu describes them, with values like those of an MI300X. */
  const card = (address: string, watts: number) => {
    const at = `sys/devices/pci0000:00/${address}`;
    put(`${at}/vendor`, '0x1002');
    put(`${at}/device`, '0x74a1');
    put(`${at}/unique_id`, `id-${address}`);
    put(`${at}/gpu_busy_percent`, '93');
    put(`${at}/mem_info_vram_used`, '1048576');
    put(`${at}/mem_info_vram_total`, '206141652992');
    put(`${at}/hwmon/hwmon4/power1_average`, String(watts * 1e6));
    put(`${at}/hwmon/hwmon4/temp2_input`, '61000');
    put(`${at}/hwmon/hwmon4/freq1_input`, '2100000000');
    put(`${at}/ras/umc_err_count`, 'ue: 0\nce: 3');
    return at;
  };
  const drm = (name: string, at: string) => {
    mkdirSync(join(directory, 'sys/class/drm', name), { recursive: true });
    symlinkSync(join(directory, at), join(directory, 'sys/class/drm', name, 'device'));
  };

  it('are read from /sys, in the order of their PCI addresses', () => {
    drm('card1', card('0000:26:00.0', 300));
    drm('card2', card('0000:05:00.0', 500));
    put('sys/devices/pci0000:00/0000:01:00.0/vendor', '0x1a03');
    drm('card0', 'sys/devices/pci0000:00/0000:01:00.0');
    const book = new SeriesBook();
    const gpus = new AmdGpus(book, directory);
    expect(gpus.count).toBe(2);
    gpus.collect();
    expect(valuesOf(book)).toMatchObject({
      'gpu_power_watts 0': 500,
      'gpu_power_watts 1': 300,
      'gpu_utilization_percent 0': 93,
      'gpu_memory_used_bytes 0': 1_048_576,
      'gpu_temperature_celsius 0': 61,
      'gpu_sm_clock_hertz 0': 2.1e9,
      'gpu_ecc_corrected_errors_total 0': 3,
    });
    expect(book.describe(book.ids())[0]?.labels).toEqual({
      gpu: '0',
      uuid: 'id-0000:05:00.0',
      model: '0x74a1',
    });
  });
});
