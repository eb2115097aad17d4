import { describe, expect, it } from 'vitest';
import { nvidiaReports, rocmReports } from '../../src/cli/nodes/gpu-report.ts';

describe('the GPUs of a node', () => {
  it('are read from nvidia-smi, also where a value is missing', () => {
    const csv =
      '0, NVIDIA H100 80GB HBM3, 97, 71234, 81559, 612.31, 63\n1, NVIDIA A100-SXM4-40GB MIG 3g.20gb, [N/A], 12, 40960, [Not Supported], 33\n';
    expect(nvidiaReports(csv)).toEqual([
      {
        ...{ index: 0, name: 'NVIDIA H100 80GB HBM3', usePercent: 97, memoryUsedMib: 71_234 },
        ...{ memoryTotalMib: 81_559, powerW: 612.31, temperatureC: 63 },
      },
      {
        ...{ index: 1, name: 'NVIDIA A100-SXM4-40GB MIG 3g.20gb', usePercent: null, memoryUsedMib: 12 },
        ...{ memoryTotalMib: 40_960, powerW: null, temperatureC: 33 },
      },
    ]);
    expect(nvidiaReports('No devices were found\n')).toEqual([]);
  });

  it('are read from rocm-smi, whatever its release calls power and temperature', () => {
    const card = {
      ...{ 'GPU use (%)': '3', 'VRAM Total Memory (B)': '206141652992' },
      ...{ 'VRAM Total Used Memory (B)': '297922560', 'Temperature (Sensor junction) (C)': '41.0' },
      ...{ 'Current Socket Graphics Package Power (W)': '133.0', 'Card Series': 'AMD Instinct MI300X' },
    };
    expect(rocmReports(JSON.stringify({ card0: card, system: { 'Driver version': '6.8' } }))).toEqual([
      {
        ...{ index: 0, name: 'AMD Instinct MI300X', usePercent: 3, memoryUsedMib: 284 },
        ...{ memoryTotalMib: 196_592, powerW: 133, temperatureC: 41 },
      },
    ]);
    expect(rocmReports('WARNING: no AMD GPUs')).toEqual([]);
  });
});
