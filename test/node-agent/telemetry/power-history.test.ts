import { describe, expect, it } from 'vitest';
import { PowerHistory } from '../../../src/node-agent/telemetry/power-history.ts';
import { SeriesBook } from '../../../src/node-agent/telemetry/series-book.ts';
import { ExpositionReader } from '../../../src/os/exposition.ts';

describe('the power of a window', () => {
  it('is the mean over its time and the peak, of each GPU and of the node', () => {
    const history = new PowerHistory(1_000);
    history.begun(0, { name: 'gpu_power_watts', type: 'gauge', labels: { gpu: '1' } });
    history.begun(1, { name: 'gpu_power_watts', type: 'gauge', labels: { gpu: '0' } });
    history.begun(2, { name: 'node_power_watts', type: 'gauge', labels: {} });
    history.begun(3, { name: 'gpu_utilization_percent', type: 'gauge', labels: { gpu: '0' } });
    const watts = [100, 200, 300, 400];
    for (const [at, value] of watts.entries())
      history.take(at * 1_000, (id) => (id === 1 ? value : id === 2 ? 1_000 : 50));
    // 200 W for half a second, 300 W for one, 400 W for half a second.
    expect(history.between(1_500, 3_500)).toEqual({
      gpus: [
        { gpu: 0, meanW: 300, peakW: 400 },
        { gpu: 1, meanW: 50, peakW: 50 },
      ],
      node: { meanW: 1_000, peakW: 1_000 },
    });
  });

  it('is not known where it was not sampled', () => {
    const history = new PowerHistory(1_000);
    expect(history.between(0, 1_000)).toEqual({ gpus: [], node: null });
    history.begun(0, { name: 'gpu_power_watts', type: 'gauge', labels: { gpu: '0' } });
    history.take(0, () => 100);
    history.take(60_000, () => 100);
    expect(history.between(1_000, 60_000).gpus).toEqual([]);
    expect(history.between(60_000, 61_000).gpus).toHaveLength(1);
    history.take(61_000, () => undefined);
    history.take(90_000, () => undefined);
    expect(history.between(61_000, 80_000).gpus).toEqual([]);
  });

  it('is that of an exporter, of DCGM or one with a metric of its own', () => {
    // As in the README of dcgm-exporter and its default-counters.csv (4.6); the third line is a part of a GPU.
    const text = `# HELP DCGM_FI_DEV_POWER_USAGE Power draw (in W).
# TYPE DCGM_FI_DEV_POWER_USAGE gauge
DCGM_FI_DEV_POWER_USAGE{gpu="0",UUID="GPU-604ac76c-d9cf-fef3-62e9-d92044ab6e52",pci_bus_id="00000000:83:00.0",device="nvidia0",modelName="NVIDIA H200",Hostname="node1"} 512.25
DCGM_FI_DEV_POWER_USAGE{gpu="1",UUID="GPU-04757e3e-3077-4e2e-b988-7e2d647b52e9",device="nvidia1",modelName="NVIDIA H200",GPU_I_PROFILE="1g.18gb",GPU_I_ID="7",Hostname="node1"} 99
DCGM_FI_DEV_XID_ERRORS{gpu="0",UUID="GPU-604ac76c-d9cf-fef3-62e9-d92044ab6e52",device="nvidia0",modelName="NVIDIA H200",Hostname="node1",err_code="0",err_msg="No Error"} 0
amd_gpu_package_power{gpu="2"} 700
`;
    const history = new PowerHistory(1_000, ['amd_gpu_package_power']);
    const book = new SeriesBook((id, series) => history.begun(id, series));
    const reader = new ExpositionReader({
      begun: (series) => book.add(series),
      value: (id, value) => book.set(id, value),
      ended: (id) => book.end(id),
    });
    reader.read(text);
    history.take(0, (id) => book.valueOf(id));
    expect(history.between(0, 1_000).gpus).toEqual([
      { gpu: 0, meanW: 512.25, peakW: 512.25 },
      { gpu: 2, meanW: 700, peakW: 700 },
    ]);
    expect(book.describe(book.ids()).map(({ name }) => name)).toContain('DCGM_FI_DEV_XID_ERRORS');
  });
});
