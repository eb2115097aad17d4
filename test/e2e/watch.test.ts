import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { SRTCTL } from '../support/job.ts';
import { useJobs } from '../support/jobs.ts';
import { signal } from '../support/signal.ts';
import { describeInTmux, Terminal } from '../support/tmux.ts';

const jobs = useJobs();
let terminal: Terminal | undefined;
afterEach(() => terminal?.close());

/** A sweep with three decode workers; a point fails with its worker, and the sweep goes on. */
async function recipe(): Promise<string> {
  const file = join(jobs.dir, 'watched.yaml');
  const worker = { nodes: 1, workers: 1, gpus: 2, args: { 'served-model-name': 'm' } };
  await writeFile(
    file,
    stringify({
      schema: 2,
      name: 'watched',
      model: { path: 'test-model', container: 'test-image', precision: 'fp8' },
      resources: { gpu_type: 'h100', gpus_per_node: 4 },
      frontend: { type: 'sglang-router', enable_multiple_frontends: false },
      engine: 'sglang',
      roles: { prefill: worker, decode: { ...worker, nodes: 3, workers: 3 } },
      sweep: { osl: [32, 33], on_failure: 'continue' },
      benchmark: {
        ...{ type: 'sa-bench', isl: 64, osl: '{osl}', concurrencies: '2', req_rate: 20 },
        ...{ num_prompts_mult: 2_000, num_warmup_mult: 1 },
      },
    }),
  );
  return file;
}

/** The screen has each process once, and nothing below its last row. */
function expectWhole(screen: string, rows: number): void {
  const lines = screen.split('\n').slice(0, rows);
  for (const process of ['prefill-0-0', 'decode-0-0', 'decode-1-0', 'decode-2-0', 'frontend-0'])
    expect(lines.filter((line) => line.match(`^node\\d +${process} `)).length, screen).toBe(1);
  for (const title of [/^sweep /, /^── \d+ processes/, /^── events/])
    expect(lines.filter((line) => title.test(line)).length, screen).toBe(1);
  expect(lines[rows - 1], screen).toMatch(/^\? help/);
}

describeInTmux('watch in a terminal', () => {
  it('shows which worker died and why, keeps no stale row, and cancels the job after a question', async () => {
    const job = await jobs.apply(await recipe());
    await job.measuring();
    const env = { SRTCTL_OUTPUT: job.outputs };
    terminal = new Terminal([process.execPath, SRTCTL, 'watch'], { columns: 80, rows: 24 }, env);
    await terminal.shows(/watched +running/);
    terminal.keys('Enter');
    expectWhole(await terminal.shows(/output tok\/s · TTFT \d+ ms/), 24);
    signal(await job.pidOf('decode-1-0'), 'SIGKILL');
    await terminal.shows(/^(cause|failed) .*decode-1-0 \(decode worker on node2\)/m);
    await terminal.shows(/^sweep .*0 of 2 points done, 1 failed; ends about \d/m);
    await terminal.shows(/^failed +point 0 watched_osl32: decode-1-0 .* failed:\s+ended by\s+SIGKILL/m);
    await terminal.shows(/^point +1 .*benchmarking/m);
    for (const [columns, rows] of [
      [120, 40],
      [80, 24],
      [100, 30],
    ] as const) {
      terminal.resize(columns, rows);
      expectWhole(
        await terminal.shows(new RegExp(`^(?=.{${columns}}\\n)local-.*\\n(.*\\n){${rows - 2}}\\? help`)),
        rows,
      );
    }
    terminal.keys('/', 'd', 'e', 'c', 'o', 'd', 'e', '-', '2', 'Enter', 'Enter');
    await terminal.shows('The server is fired up and ready to roll!');
    terminal.keys('Tab', 'Tab');
    await terminal.shows('--served-model-name m');
    terminal.keys('q', 'Escape');
    // An escape with a key right after it is another key.
    await terminal.shows(/\d processes, by/);
    terminal.keys('c');
    await terminal.shows(/cancel local-.*\? +y yes/);
    terminal.keys('y');
    await terminal.shows(/over, exit code 143/);
    terminal.keys('q', 'q');
    await terminal.shows('exit code 0');
    expect(await job.ended(), job.said).toBe(143);
    await job.nothingLeft();
  }, 180_000);
});
