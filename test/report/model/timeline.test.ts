import { describe, expect, it } from 'vitest';
import type { SrtEvent } from '../../../src/messages/events/events.ts';
import { timelineOf } from '../../../src/report/model/timeline.ts';

const at = (ms: number): string => new Date(ms).toISOString();
const envelope = (ms: number, source: string, seq: number) => ({ v: 1 as const, at: at(ms), source, seq });
const point = (ms: number, seq: number, to: 'benchmarking' | 'collecting' | 'done'): SrtEvent => ({
  ...{ kind: 'point.transition', ordinal: 0, name: 'p', from: null, to, why: 'because', cause: null },
  ...envelope(ms, 'coordinator:1', seq),
});
const process = (ms: number, seq: number, to: 'starting' | 'ready' | 'failed', node = 'n1'): SrtEvent => ({
  ...{ kind: 'process.transition', node, process: 'decode-0-0', role: 'decode', from: 'starting', to },
  ...{ why: 'because', pid: 1, exitCode: null, signal: null, generation: 1 as never, logFile: '' },
  ...envelope(ms, `agent:${node}`, seq),
});

describe('a timeline', () => {
  it('begins with the queue, and has no events without them', () => {
    expect(timelineOf([], at(0))).toBeNull();
    const timeline = timelineOf([process(5_000, 1, 'ready')], at(1_000));
    expect(timeline).toMatchObject({ from: 1_000, to: 5_000 });
    expect(timeline?.lanes[0]).toMatchObject({ name: 'job', spans: [{ state: 'queue' }] });
  });

  it("has the times of agents in the coordinator's clock", () => {
    const offset: SrtEvent = {
      ...{ kind: 'clock.offset', node: 'n2', of: 'agent:n2', offsetMs: 700, errorMs: 1 },
      ...envelope(0, 'coordinator:1', 1),
    };
    const timeline = timelineOf(
      [offset, process(2_700, 1, 'starting', 'n2'), process(4_700, 2, 'failed', 'n2')],
      null,
    );
    const [lane] = timeline?.lanes ?? [];
    expect(lane).toMatchObject({ node: 'n2', spans: [{ state: 'load', from: 2_000, to: 4_000 }] });
    expect(timeline?.marks).toMatchObject([{ what: 'process failed', at: 4_000, node: 'n2' }]);
  });

  it('tells warm-up from measurement where the windows are known', () => {
    const events = [point(1_000, 1, 'benchmarking'), point(9_000, 2, 'collecting'), point(9_500, 3, 'done')];
    const statesWith = (windows: [number, number][]) =>
      timelineOf(events, null, new Map([[0, windows]]))?.lanes[0]?.spans.map(({ state, from, to }) => [
        state,
        from,
        to,
      ]);
    expect(
      statesWith([
        [5_000, 8_000],
        [2_000, 4_000],
      ]),
    ).toEqual([
      ['warm-up', 1_000, 2_000],
      ['measure', 2_000, 4_000],
      ['warm-up', 4_000, 5_000],
      ['measure', 5_000, 8_000],
      ['warm-up and measure', 8_000, 9_000],
      ['collect', 9_000, 9_500],
    ]);
    expect(statesWith([])).toEqual([
      ['warm-up and measure', 1_000, 9_000],
      ['collect', 9_000, 9_500],
    ]);
  });
});
