import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { timeIn } from '../../../src/cli/logs/line-time.ts';
import { LogClock } from '../../../src/cli/logs/log-clock.ts';
import { merged } from '../../../src/cli/logs/merge.ts';
import { linesBackwards } from '../../../src/os/files/lines-backwards.ts';
import { linesOf } from '../../../src/os/files/lines-of.ts';

const local = (month: number, day: number, hours: number, minutes: number, seconds: number, ms = 0) =>
  new Date(2026, month - 1, day, hours, minutes, seconds, ms).getTime();
const NEAR = local(11, 20, 9, 0, 0);

describe('the time of a line', () => {
  it.each([
    ['[2026-11-20 09:10:01 TP3] Load weight end.', local(11, 20, 9, 10, 1)],
    ['(EngineCore_DP0 pid=412) INFO 11-20 09:01:40 [core.py:96] Initializing', local(11, 20, 9, 1, 40)],
    ['2026-11-20T01:25:31.282962Z  INFO main: x', Date.UTC(2026, 10, 20, 1, 25, 31) + 282.962],
    ['2026-11-20 01:24:59.265057 W | pkg/flags: x', local(11, 20, 1, 24, 59) + 265.057],
    ['2026-11-20 09:14:41,123 - name - ERROR - x', local(11, 20, 9, 14, 41, 123)],
    ['[21706] 2026/11/20 01:25:27.233336 [INF] Starting', local(11, 20, 1, 25, 27) + 233.336],
    ['raft2026/11/20 01:24:59 INFO: newRaft', local(11, 20, 1, 24, 59)],
    ['[11/20/2026-09:20:11] [TRT-LLM] [I] Starting', local(11, 20, 9, 20, 11)],
    ['W0717 07:30:06.719567  994396 ucx_enums.cpp:58] x', local(7, 17, 7, 30, 6) + 719.567],
    ['[rank3]:[W817 19:56:56.728435685 TCPStore.cpp:125] [c10d] x', local(8, 17, 19, 56, 56) + 728.435685],
    ['10.0.0.9 - - [20/Nov/2026:09:13:01 +0100] "POST /"', Date.UTC(2026, 10, 20, 8, 13, 1)],
    ['{"level":30,"time":1795165200123,"msg":"x"}', 1_795_165_200_123],
    ['{"level":"info","ts":"2026-11-20T10:00:00.000Z","msg":"x"}', Date.UTC(2026, 10, 20, 10)],
    ['2026-11-20T09:00:00+01:00 x', Date.UTC(2026, 10, 20, 8)],
  ])('is read from %s', (line, at) => {
    expect(timeIn(line, NEAR)?.at).toBeCloseTo(at, 2);
  });

  it.each([
    'no time at all',
    '  File "/vllm/v1/engine/core.py", line 508, in run_engine_core',
    'ratio 12:30',
    '2026-13-40 09:00:00 x',
    `${'x'.repeat(200)} 2026-11-20 09:00:00`,
  ])('is not there in %j', (line) => {
    expect(timeIn(line, NEAR)).toBeUndefined();
  });

  it('without a year is in the year of the job, also over New Year', () => {
    const newYear = new Date(2027, 0, 1, 0, 10).getTime();
    expect(timeIn('INFO 12-31 23:59:59 [a.py:1] x', newYear)?.at).toBe(
      new Date(2026, 11, 31, 23, 59, 59).getTime(),
    );
  });
});

describe('the moments of the lines of one log', () => {
  const start = local(11, 20, 9, 0, 0);

  it('are their own, or that of the line before, and never go back', () => {
    const tail = ['[2026-11-20 09:00:10] a'];
    const clock = new LogClock({ anchors: [{ offset: 0, at: start }], aheadMs: 0, tail });
    const at = (line: string) => clock.momentOf(line, 0);
    expect(at('banner')).toEqual({ at: start, isEstimate: true });
    expect(at('[2026-11-20 09:00:10] a')).toEqual({ at: start + 10_000, isEstimate: false });
    expect(at('Traceback')).toEqual({ at: start + 10_000, isEstimate: true });
    expect(at('[2026-11-20 09:00:09] late')).toEqual({ at: start + 10_000, isEstimate: false });
    // A date in the message is no time of the line.
    expect(at('[2020-01-01 00:00:00] old')).toEqual({ at: start + 10_000, isEstimate: true });
  });

  it('are corrected by the clock of the node, and by the zone of a container', () => {
    const tail = ['[2026-11-20 01:00:10] written in another zone'];
    const clock = new LogClock({
      ...{ anchors: [{ offset: 0, at: start }], aheadMs: 2_000, tail },
      writtenAt: start + 8_000,
    });
    expect(clock.momentOf(tail[0] ?? '', 0).at).toBe(start + 8_000);
    // A file that was copied later says nothing about the zone.
    const copied = new LogClock({
      ...{ anchors: [{ offset: 0, at: start }], aheadMs: 0, tail },
      writtenAt: start + 20 * 3_600_000 + 10_000,
    });
    expect(copied.momentOf(tail[0] ?? '', 0).at).toBe(local(11, 20, 1, 0, 10));
  });

  it('of a log without times are estimated between its start and its last write', () => {
    const anchors = [
      { offset: 100, at: start },
      { offset: 300, at: start + 20_000 },
    ];
    const clock = new LogClock({ anchors, aheadMs: 0, tail: ['step 1', 'step 2'] });
    expect(clock.isTimed).toBe(false);
    expect(clock.momentOf('step 1', 200)).toEqual({ at: start + 10_000, isEstimate: true });
    expect(clock.offsetAt(start + 15_000)).toBe(250);
    expect(clock.estimate(0)).toBe(start);
    expect(clock.estimate(900)).toBe(start + 20_000);
  });
});

describe('merging', () => {
  it('orders by time, keeps the order within a source, and holds one item of each', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(fc.nat(50))), async (lists) => {
        const sources = lists.map((list) => [...list].sort((a, b) => a - b).map((at, n) => ({ at, n })));
        const all: { at: number; n: number; source: number }[] = [];
        for await (const item of merged(
          sources.map((list) =>
            (async function* () {
              yield* list;
            })(),
          ),
        ))
          all.push(item);
        expect(all).toEqual(
          sources
            .flatMap((list, source) => list.map((item) => ({ ...item, source })))
            .sort((a, b) => a.at - b.at || a.source - b.source || a.n - b.n),
        );
      }),
      { numRuns: 50 },
    );
  });
});

describe('the lines of a file', () => {
  let directory = '';
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  it('are the same forwards and backwards, with their places, in pieces of any size', async () => {
    const file = join(directory, 'log');
    const line = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 60 })
      .filter((text) => !/\n/.test(text));
    await fc.assert(
      fc.asyncProperty(fc.array(line), fc.integer({ min: 1, max: 40 }), async (lines, piece) => {
        await writeFile(file, lines.map((text) => `${text}\n`).join(''));
        const forwards: string[] = [];
        let next = 0;
        const starts: number[] = [];
        for await (const each of linesOf(file, { piece })) {
          starts.push(next);
          forwards.push(each.text);
          next = each.next;
        }
        expect(forwards).toEqual(lines);
        const backwards: { text: string; from: number }[] = [];
        for await (const each of linesBackwards(file, next)) backwards.unshift(each);
        expect(backwards).toEqual(lines.map((text, at) => ({ text, from: starts[at] })));
      }),
      { numRuns: 60 },
    );
  });

  it('of a large file are read from its end without the rest', async () => {
    const file = join(directory, 'large');
    await writeFile(file, `${'x'.repeat(3_000_000)}\n${'line\n'.repeat(200_000)}the last one\n`);
    const found: string[] = [];
    for await (const { text } of linesBackwards(file, 4_000_014)) if (found.push(text) === 2) break;
    expect(found).toEqual(['the last one', 'line']);
    const pieces: number[] = [];
    for await (const { text } of linesOf(file)) if (pieces.push(text.length) === 3) break;
    expect(Math.max(...pieces)).toBeLessThan(400_000);
  });
});
