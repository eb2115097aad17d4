import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writeParquet } from '../../src/cli/report/write-report.ts';
import { columnsOf } from '../../src/report/text/columns.ts';
import { linesOf } from '../../src/report/text/lines.ts';
import { OLD_VERSIONS, oldJob, reportOf } from './sources.ts';

let directory = '';
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

it('a table of lines has a column for each value, of numbers where all are numbers', () => {
  const lines = [
    { name: 'a', ttftMs: { mean: 1.5 }, valid: true, params: { x: 8 }, list: [1, 2], none: null },
    { name: 'b', valid: false, params: { x: 'auto' } },
  ];
  expect(columnsOf(lines)).toEqual([
    { name: 'name', type: 'STRING', data: ['a', 'b'] },
    { name: 'ttftMs.mean', type: 'DOUBLE', data: [1.5, null] },
    { name: 'valid', type: 'BOOLEAN', data: [true, false] },
    { name: 'params.x', type: 'STRING', data: ['8', 'auto'] },
    { name: 'list', type: 'STRING', data: ['[1,2]', null] },
  ]);
});

it('the figures of jobs are the same in Parquet, with failed points', async () => {
  const version = OLD_VERSIONS.at(-1) ?? '';
  const report = reportOf(oldJob(version, 'done'), oldJob(version, 'failed'));
  const path = await writeParquet(report, join(directory, 'made/figures.parquet'));
  const rows = await parquetReadObjects({ file: await asyncBufferFromFile(path) });
  const columns = columnsOf(linesOf(report));
  expect(rows).toHaveLength(linesOf(report).length);
  for (const { name, data } of columns)
    expect(
      rows.map((row) => row[name] ?? null),
      name,
    ).toEqual(data);
  expect(columns.find(({ name }) => name === 'outputThroughput')?.type).toBe('DOUBLE');
});
