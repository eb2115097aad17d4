import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Packing } from '../../../src/node-agent/telemetry/packing.ts';
import { until } from '../../support/bus.ts';

const MIB = 1024 * 1024;
let directory: string;
let size: number;
let number: number;
let warnings: object[];
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'srtctl-packing-'));
  [size, number, warnings] = [0, 0, []];
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** A log with a batch, as an agent leaves it. */
function log(): string {
  const path = join(directory, `${number++}.jsonl`);
  const head = { v: 1, node: 'node1', incarnation: 'i', at: 1_000 };
  const series = [{ id: 0, name: 'a', type: 'gauge', labels: {}, value: 1 }];
  const lines = [
    { ...head, series },
    { ...head, intervalMs: 1_000, seq: 1, samples: [] },
  ];
  writeFileSync(path, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  return path;
}

const packing = (script = resolve('dist/telemetry-pack.js')) =>
  new Packing({
    sampler: {
      get logSize() {
        return size;
      },
      turnLog: async () => {
        size = 0;
        return log();
      },
      stop: async () => log(),
    },
    script,
    log: { warn: (detail) => warnings.push(detail) },
  });
const files = () => readdirSync(directory).sort();

describe('the log of an agent', () => {
  it('is packed at the end of a point and of the agent when it is large, and is left otherwise', async () => {
    const own = packing();
    own.pointEnded();
    own.batchSent();
    expect(files()).toEqual([]);
    size = 2 * MIB;
    own.batchSent();
    own.pointEnded();
    await until('the packed log', () => existsSync(join(directory, '0.parquet')));
    size = 2 * MIB;
    await own.end();
    expect(files()).toEqual(['0.parquet', '1.parquet']);
    size = MIB / 2;
    await packing().end();
    expect(files()).toEqual(['0.parquet', '1.parquet', '2.jsonl']);
    expect(warnings).toEqual([]);
  });

  it('stays where it cannot be packed, and the agent ends', async () => {
    size = 2 * MIB;
    await packing(join(directory, 'not-there.js')).end();
    expect(files()).toEqual(['0.jsonl']);
    expect(warnings).toEqual([expect.objectContaining({ code: 1 })]);
  });
});
