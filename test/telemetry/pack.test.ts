import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SampleValue } from '../../src/messages/events/telemetry.ts';
import { packLog, packLogs } from '../../src/telemetry/pack.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'srtctl-pack-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const head = { v: 1, node: 'node1', incarnation: 'i' };
const series = (id: number, name: string, value: SampleValue, labels = {}) => ({
  ...{ id, process: 'p', name, type: 'gauge', labels, value },
});
const described = (at: number, ...all: object[]) => ({ ...head, at, series: all });
const batch = (at: number, ...samples: unknown[]) => ({ ...head, at, intervalMs: 1_000, seq: 1, samples });

function write(name: string, ...lines: unknown[]): string {
  const path = join(directory, name);
  writeFileSync(
    path,
    lines.map((line) => (typeof line === 'string' ? line : `${JSON.stringify(line)}\n`)).join(''),
  );
  return path;
}

/** The rows as `time name value`, with labels where there are some. */
async function rows(name: string): Promise<string[]> {
  const found = await parquetReadObjects({
    file: await asyncBufferFromFile(join(directory, name)),
    compressors: { GZIP: (input) => gunzipSync(input) },
  });
  return found.map(({ time, node, process, name, labels, value }) => {
    expect([node, process]).toEqual(['node1', 'p']);
    return `${(time as Date).getTime()} ${name} ${value}${labels === '{}' ? '' : ` ${labels}`}`;
  });
}

describe('a packed log', () => {
  it('has a row for each series and time, also where a value has not changed', async () => {
    const log = write(
      'a.jsonl',
      described(1_000, series(0, 'a', 1), series(1, 'b', '+Inf', { le: '0.5' })),
      batch(1_000),
      batch(2_000, [0, 2]),
      described(3_000, series(2, 'c', 'NaN')),
      batch(3_000, [0, 3, null]),
      // The second message of one time.
      batch(3_000, [2, 7]),
      batch(5_000),
      '{"v":1,"node":"node1","incarnation":"i","at":6000,"intervalMs":1000,"se',
    );
    expect(await packLog(log)).toBe(8);
    expect(readdirSync(directory)).toEqual(['a.parquet']);
    expect((await rows('a.parquet')).sort()).toEqual(
      [
        '1000 a 1',
        '1000 b Infinity {"le":"0.5"}',
        '2000 a 2',
        '2000 b Infinity {"le":"0.5"}',
        '3000 a 3',
        '3000 c 7',
        '5000 a 3',
        '5000 c 7',
      ].sort(),
    );
  });

  it('takes less than two bytes a sample', async () => {
    const count = 400;
    const lines: unknown[] = [
      described(
        0,
        ...Array.from({ length: count }, (_, id) =>
          series(id, `vllm:some_histogram_${id % 40}`, 0, { model_name: 'm', le: String(id) }),
        ),
      ),
    ];
    let value = 0;
    for (let tick = 0; tick < 100; tick++) {
      const changed = Array.from(
        { length: count / 2 },
        (_, at) => ((value + at * 48_271) % 1_000) + tick * 1_000,
      );
      value = (value * 16_807 + 11) % 2_147_483_647;
      lines.push(batch(tick * 1_000, [0, ...changed]));
    }
    const log = write('b.jsonl', ...lines);
    expect(await packLog(log)).toBe(count * 100);
    const { size } = await asyncBufferFromFile(join(directory, 'b.parquet')).then(({ byteLength }) => ({
      size: byteLength,
    }));
    expect(size / (count * 100)).toBeLessThan(2);
  });

  it('without a sample is removed, and logs of ended agents are packed up to a limit', async () => {
    write('empty.jsonl');
    write('small.jsonl', described(0, series(0, 'a', 1)), batch(0));
    write(
      'large.jsonl',
      described(0, series(0, 'a', 1)),
      batch(0),
      ...Array.from({ length: 99 }, (_, at) => batch(at)),
    );
    await packLogs(directory, 1_000);
    expect(readdirSync(directory).sort()).toEqual(['large.jsonl', 'small.parquet']);
    await packLogs(join(directory, 'not-there'));
  });
});
