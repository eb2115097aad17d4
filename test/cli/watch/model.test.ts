import { describe, expect, it } from 'vitest';
import { Engines } from '../../../src/cli/watch/model/engine-figures.ts';
import { Gpus } from '../../../src/cli/watch/model/gpus.ts';
import { JobHistory } from '../../../src/cli/watch/model/job-history.ts';
import { workerCounts } from '../../../src/cli/watch/model/job-line.ts';
import { slowNodes } from '../../../src/cli/watch/model/slow-nodes.ts';
import { TelemetryReader } from '../../../src/cli/watch/model/telemetry-reader.ts';
import { uiOf } from '../../../src/cli/watch/model/ui.ts';
import { screenOf, screenText } from '../../../src/cli/watch/views/screen.ts';
import { heartbeatOf, killed, processEvent, recorded, START, wholeRun } from '../view/events.ts';
import { jobScene, sceneOf } from './scene.ts';

const agent = { node: 'node2', incarnation: 'x' };
const series = (id: number, name: string, value: number, process = 'decode-0-0') => ({
  ...{ id, name, value, process, type: 'gauge' as const, labels: {} },
});

describe('the telemetry that watch reads', () => {
  it('adds up the series of a figure, keeps values that did not change, and makes rates of counters', () => {
    const engines = new Engines();
    const reader = new TelemetryReader(engines, new Gpus());
    reader.takeSeries({
      ...agent,
      series: [
        series(0, 'sglang:num_running_reqs', 3),
        series(1, 'sglang:unknown', 9),
        series(2, 'sglang:num_queue_reqs', 2),
        series(3, 'sglang:num_decode_transfer_queue_reqs', 1),
        series(4, 'sglang:generation_tokens_total', 100),
      ],
    });
    reader.takeSamples({ ...agent, at: START, samples: [[0, 4]] });
    reader.takeSamples({ ...agent, at: START + 2_000, samples: [[2, 5, null, 500]] });
    expect(engines.of('decode-0-0')).toMatchObject({ running: [4, 4], waiting: [3, 5], outputRate: [200] });
    expect(engines.totals(['decode-0-0', 'decode-1-0'])).toEqual({ running: 4, waiting: 5 });
  });

  it('forgets the ids of an agent that has been replaced', () => {
    const engines = new Engines();
    const reader = new TelemetryReader(engines, new Gpus());
    reader.takeSeries({ ...agent, series: [series(0, 'sglang:num_running_reqs', 3)] });
    reader.takeSamples({ ...agent, incarnation: 'y', at: START, samples: [[0, 4]] });
    expect(engines.of('decode-0-0')).toBeUndefined();
  });
});

describe('the GPUs of a node', () => {
  const gpu = (id: number, name: string, index: string, value: number) => ({
    ...{ id, name, value, type: 'gauge' as const, labels: { gpu: index, model: 'H100' } },
  });

  it('are read one by one and together, and are slow when their clocks are lower than those of their peers', () => {
    const gpus = new Gpus();
    const reader = new TelemetryReader(new Engines(), gpus);
    for (const [at, hertz] of [1.9e9, 1.9e9, 1.2e9].entries()) {
      const node = { node: `node${at + 2}`, incarnation: 'x' };
      reader.takeSeries({
        ...node,
        series: [
          gpu(0, 'gpu_sm_clock_hertz', '0', 1.9e9),
          gpu(1, 'gpu_utilization_percent', '0', 90),
          gpu(2, 'gpu_memory_used_bytes', '0', 40e9),
          gpu(3, 'gpu_memory_used_bytes', '1', 20e9),
        ],
      });
      reader.takeSamples({ ...node, at: START, samples: [[0, hertz]] });
    }
    expect(gpus.together('node4')).toEqual({ hertz: 1.2e9, utilization: 90, usedBytes: 60e9 });
    expect(slowNodes({ ...jobScene(), gpus }, START, false)).toEqual([
      { node: 'node4', why: 'its GPUs run at 1200 MHz, those of the others at 1900 MHz' },
    ]);
    const { rows } = screenOf(
      sceneOf({ ...jobScene(), gpus }),
      uiOf({ kind: 'job', jobId: '4711', node: 'node4' }),
      { columns: 100, rows: 30 },
    );
    expect(screenText(rows)).toMatch(/^GPU 0 +90 % +40 GB +1200 MHz/m);
    expect(screenText(rows)).toMatch(/decode-2-0 .* 90 % 60 GB/);
  });
});

describe('slow nodes', () => {
  it('are those whose workers give each request fewer tokens than their peers', () => {
    expect(jobScene().slow).toEqual([]);
    expect(jobScene({ isSlow: true }).slow).toMatchObject([{ node: 'node8' }]);
  });

  it('are those at whose workers requests pile up', () => {
    const { history, engines, gpus } = jobScene();
    for (let look = 0; look < 10; look++)
      engines.take('decode-6-0', { running: 4, waiting: 1, open: 20 }, START + 41_000 + look * 1_000);
    expect(slowNodes({ history, engines, gpus }, START, false)).toEqual([
      { node: 'node8', why: 'decode-6-0 has 20 requests, its peers 5' },
    ]);
  });

  it('are those whose workers load longer than their peers', () => {
    const history = new JobHistory();
    const at = (process: string, node: string, to: 'starting' | 'ready') =>
      processEvent({ process, node, role: 'decode', to });
    const events = recorded([1, 2, 3, 4].map((index) => at(`decode-${index}-0`, `node${index}`, 'starting')));
    for (const event of events) history.take({ ...event, at: new Date(START).toISOString() });
    const ready = recorded([1, 2, 3].map((index) => at(`decode-${index}-0`, `node${index}`, 'ready')));
    for (const event of ready) history.take({ ...event, seq: 2, at: new Date(START + 20_000).toISOString() });
    expect(slowNodes({ history, engines: new Engines(), gpus: new Gpus() }, START + 39_000, true)).toEqual(
      [],
    );
    expect(slowNodes({ history, engines: new Engines(), gpus: new Gpus() }, START + 61_000, true)).toEqual([
      { node: 'node4', why: 'decode-4-0 has been loading for 61 s, the other decode workers 20 s' },
    ]);
  });

  it('are those whose agents are silent while the bus and most others are there', () => {
    const { history, engines, gpus } = jobScene();
    const now = START + 60_000;
    const silent = (isLive: boolean) => slowNodes({ history, engines, gpus }, now, isLive);
    expect(silent(true)).toEqual([]);
    for (let beat = START + 40_500; beat < now; beat += 1_000)
      for (const node of [1, 2, 4, 5, 6, 7, 8, 9])
        history.takeHeartbeat(heartbeatOf({ node: `node${node}` }), beat);
    expect(silent(true)).toEqual([{ node: 'node3', why: 'no heartbeat for 21 s' }]);
    expect(silent(false)).toEqual([]);
  });

  it('are not those of a job whose agents send a heartbeat every ten seconds', () => {
    const { history, engines, gpus } = jobScene();
    for (let beat = 1; beat <= 10; beat++)
      for (let node = 1; node <= 9; node++)
        history.takeHeartbeat(heartbeatOf({ node: `node${node}` }), START + 40_000 + beat * 10_000);
    for (const node of [1, 2, 3, 4, 5])
      history.takeHeartbeat(heartbeatOf({ node: `node${node}` }), START + 150_000);
    expect(slowNodes({ history, engines, gpus }, START + 151_000, true)).toEqual([]);
  });
});

describe('the history of a job', () => {
  it('has each process with its states, and the failures in their order', () => {
    const history = new JobHistory();
    for (const event of wholeRun(killed)) history.take(event);
    // A late viewer gets events of the file and of the bus.
    for (const event of wholeRun(killed)) expect(history.take(event)).toBe(false);
    expect(history.pasts.get('decode-0-0')?.changes.map(({ to }) => to)).toEqual(['ready', 'failed']);
    expect(history.failures.map(({ process }) => process)).toEqual(['decode-0-0']);
    expect(history.endedAt).not.toBeNull();
  });

  it('says how long the stage of the benchmark still lasts, and nothing before a request is done', () => {
    const { history } = jobScene();
    expect(history.stageLeftMs).toBe(22_000);
    expect(jobScene({ dies: true }).history.stageLeftMs).toBeNull();
  });

  it('counts a worker as ready when all its ranks are', () => {
    const history = new JobHistory();
    const rank = (id: string, to: 'ready' | 'starting') => processEvent({ process: id, role: 'agg', to });
    for (const event of recorded([
      rank('agg-0-0', 'ready'),
      rank('agg-0-1', 'starting'),
      rank('agg-1-0', 'ready'),
    ]))
      history.take(event);
    expect(workerCounts(history)).toEqual([{ role: 'agg', ready: 1, failed: 0, all: 2 }]);
  });
});
