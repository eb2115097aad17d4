import { appendFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { OutputMirror } from '../../../src/coordinator/sweep/output-mirror.ts';
import { until } from '../../support/bus.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterAll(() => rm(directory, { recursive: true, force: true }));

it("a benchmark's output is said line by line as it comes, and whole at its end", async () => {
  const file = join(directory, 'benchmark.out');
  const said: string[] = [];
  const mirror = new OutputMirror(file, (line) => said.push(line));
  mirror.begin();
  await appendFile(file, 'one\ntw');
  await until('the first line', () => said.length > 0);
  expect(said).toEqual(['one']);
  await appendFile(file, 'o\nthree');
  await mirror.close();
  expect(said).toEqual(['one', 'two', 'three']);
});
