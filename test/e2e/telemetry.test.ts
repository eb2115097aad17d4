import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet';
import { expect, it } from 'vitest';
import { until } from '../support/bus.ts';
import type { RunningJob } from '../support/job.ts';
import { useJobs } from '../support/jobs.ts';
import { signal } from '../support/signal.ts';
import { writeSweep } from './sweep-recipe.ts';

const jobs = useJobs({ SRTCTL_SIM_GPU_WATTS: '300 300 300 500' });

interface Row {
  readonly at: number;
  readonly node: string;
  readonly process: string;
  readonly name: string;
}

const read = async (file: string): Promise<Record<string, unknown>[]> =>
  parquetReadObjects({
    file: await asyncBufferFromFile(file),
    compressors: { GZIP: (input) => gunzipSync(input) },
  });

const samplesOf = async (job: RunningJob) => join(await job.jobDir(), 'telemetry', 'samples');

/** All rows of all Parquet files of a job. */
async function rowsOf(job: RunningJob): Promise<Row[]> {
  const directory = await samplesOf(job);
  const files = readdirSync(directory).filter((name) => name.endsWith('.parquet'));
  const rows = (await Promise.all(files.map((name) => read(join(directory, name))))).flat();
  return rows.map((row) => ({ ...(row as unknown as Row), at: (row.time as Date).getTime() }));
}

const recipe = (requests: number, osl = 16) =>
  writeSweep(jobs.dir, {
    sweep: 'n: [1]',
    ...{ requests, osl, extra: 'telemetry: { interval_ms: 200 }\n' },
  });

it('every process, the node and its GPUs are in the Parquet of a run, and its energy is in the result', async () => {
  const job = await jobs.apply(await recipe(60, 64));
  expect(await job.ended(), job.said).toBe(0);
  const directory = await samplesOf(job);
  expect(readdirSync(directory).filter((name) => !name.endsWith('.parquet'))).toEqual([]);
  const rows = await rowsOf(job);
  const has = (node: string, process: string, name: string) =>
    rows.some((row) => row.node === node && row.process === process && row.name === name);
  expect(has('node1', 'prefill-0-0', 'sglang:num_running_reqs')).toBe(true);
  expect(has('node2', 'decode-0-0', 'sglang:generation_tokens_total')).toBe(true);
  expect(has('node1', 'frontend-0', 'up')).toBe(true);
  expect(has('node1', '', 'node_cpu_seconds_total')).toBe(true);
  expect(has('node1', '', 'gpu_power_watts')).toBe(true);
  // Both nodes of a local job are this machine, which is read once.
  expect(has('node2', '', 'node_cpu_seconds_total')).toBe(false);
  expect(rows.every(({ at }) => at % 200 === 0)).toBe(true);

  const windows = await read(join(await job.jobDir(), 'telemetry', 'windows.parquet'));
  expect(windows.map(({ kind, ordinal, concurrency }) => [kind, ordinal, concurrency])).toEqual([
    ['point', 0, null],
    ['window', 0, 2],
  ]);
  const { begins, ends } = windows[1] as { begins: Date; ends: Date };
  const within = rows.filter(
    ({ at, name }) => name === 'up' && at >= begins.getTime() && at <= ends.getTime(),
  );
  expect(within.length).toBeGreaterThan(0);

  const serving = (await job.results())[0]?.benchmark?.serving[0];
  expect(serving?.window).toEqual({ from: expect.any(Number), to: expect.any(Number) });
  const { power, outputTokens = 0, durationS = 0 } = serving ?? {};
  expect(power).toMatchObject({ meanW: 1_400, nodes: [] });
  expect(power?.gpus).toHaveLength(4);
  expect(power?.joulesPerOutputToken).toBeCloseTo((1_400 * durationS) / outputTokens, 3);
}, 90_000);

it.each([
  ['an agent', (job: RunningJob) => job.agentPid('node2'), 'node2', 1],
  // Another one takes over.
  ['the coordinator', async (job: RunningJob) => (await job.state()).coordinatorPid, 'node1', 0],
] as const)(
  'a kill of %s loses at most two seconds of telemetry',
  async (_, pidOf, node, exitCode) => {
    const job = await jobs.apply(await recipe(200, 64));
    await job.measuring();
    const directory = await samplesOf(job);
    await until('samples of its node', () =>
      readdirSync(directory).some((name) => name.startsWith(node) && lastOf(join(directory, name)) > 0),
    );
    const pid = await pidOf(job);
    const killedAt = Date.now();
    signal(pid, 'SIGKILL');
    expect(await job.ended(), job.said).toBe(exitCode);
    const times = (await rowsOf(job)).filter((row) => row.node === node).map(({ at }) => at);
    expect(times.some((at) => at > killedAt - 2_000 && at <= killedAt)).toBe(true);
  },
  120_000,
);

/** The time of the last whole batch in a log; 0 without one. */
function lastOf(log: string): number {
  if (!existsSync(log)) return 0;
  const times = [...readFileSync(log, 'utf8').matchAll(/"at":(\d+),"intervalMs".*\n/g)];
  return Number(times.at(-1)?.[1] ?? 0);
}
