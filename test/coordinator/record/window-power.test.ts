import { describe, expect, it } from 'vitest';
import { figuresOf, withPower } from '../../../src/coordinator/record/window-power.ts';
import { subjectsOf } from '../../../src/messages/events/subjects.ts';
import type { WindowPower } from '../../../src/messages/events/telemetry.ts';
import type { BenchmarkResult } from '../../../src/messages/job-directory/result.ts';

const one = { window: { from: 0, to: 10_000 }, outputTokens: 2_000, completed: 20 };
const workers = [
  { node: 'node1', gpus: [0, 1] },
  { node: 'node2', gpus: [0] },
];
const itself = (node: string) => node;
const power: Record<string, WindowPower> = {
  node1: {
    gpus: [
      { gpu: 0, meanW: 300, peakW: 350 },
      { gpu: 1, meanW: 200, peakW: 250 },
      { gpu: 7, meanW: 60, peakW: 60 },
    ],
    node: { meanW: 900, peakW: 1_000 },
  },
  node2: { gpus: [{ gpu: 0, meanW: 500, peakW: 600 }], node: null },
};

describe('power and energy of a measured window', () => {
  it('are those of the GPUs that the workers use', () => {
    expect(figuresOf(one, workers, itself, (node) => power[node])).toEqual({
      gpus: [
        { node: 'node1', gpu: 0, meanW: 300, peakW: 350 },
        { node: 'node1', gpu: 1, meanW: 200, peakW: 250 },
        { node: 'node2', gpu: 0, meanW: 500, peakW: 600 },
      ],
      nodes: [{ node: 'node1', meanW: 900, peakW: 1_000 }],
      meanW: 1_000,
      joules: 10_000,
      joulesPerOutputToken: 5,
      joulesPerRequest: 500,
      outputTokensPerJoule: 0.2,
    });
  });

  it('are absent, with the reason, where a GPU does not say them', () => {
    const more = [...workers, { node: 'node3', gpus: [2] }];
    expect(figuresOf(one, more, itself, (node) => power[node])).toMatchObject({
      meanW: null,
      joulesPerOutputToken: null,
      why: 'GPU 2 of node3 does not say its power',
    });
    expect(figuresOf(one, workers, itself, () => undefined)).toMatchObject({
      gpus: [],
      joules: null,
      why: 'no GPU of the workers says its power',
    });
  });

  it('count each GPU of one machine once, where several nodes are one', () => {
    const local = figuresOf(
      one,
      [...workers, { node: 'node3', gpus: [1] }],
      () => 'node1',
      (node) => power[node],
    );
    expect(local.gpus).toHaveLength(2);
    expect(local.meanW).toBe(500);
  });

  it('are asked for all windows in one request, and a silent agent takes nothing away', async () => {
    const asked: unknown[] = [];
    const serving = [one, { ...one, window: undefined }, { ...one, window: { from: 20_000, to: 30_000 } }];
    const result = { type: 'sa-bench', valid: true, serving, artifacts: [] } as unknown as BenchmarkResult;
    const bus = {
      request: async <T>(subject: string, message: unknown) => {
        asked.push([subject, message]);
        if (subject.includes('node2')) throw new Error('no answer');
        return { v: 1, windows: [power.node1, power.node1] } as T;
      },
    };
    const found = await withPower({ bus, subjects: subjectsOf('j'), readerOf: itself }, workers, result);
    expect(asked).toHaveLength(2);
    expect(asked[0]).toEqual([
      'srt.j.telemetry.node1.power',
      { v: 1, windows: [one.window, { from: 20_000, to: 30_000 }] },
    ]);
    expect(found.serving.map((each) => each.power?.why)).toEqual([
      'GPU 0 of node2 does not say its power',
      undefined,
      'GPU 0 of node2 does not say its power',
    ]);
  });
});
