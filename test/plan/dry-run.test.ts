import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { registerDryRun } from '../../src/cli/commands/dry-run.ts';
import { small, writeFiles } from '../recipe/write.ts';

/** Runs `dry-run` in this process and returns its output. */
async function dryRunOn(cluster: string, ...args: string[]) {
  const printed = { out: '', err: '' };
  vi.stubEnv('SRTSLURM_CONFIG', join(writeFiles({ 'srtslurm.yaml': cluster }), 'srtslurm.yaml'));
  const take = (stream: keyof typeof printed) => (text: unknown) => {
    printed[stream] += String(text);
    return true;
  };
  vi.spyOn(process.stdout, 'write').mockImplementation(take('out'));
  vi.spyOn(process.stderr, 'write').mockImplementation(take('err'));
  const program = new Command('srtctl').exitOverride();
  registerDryRun(program);
  await program.parseAsync(['dry-run', ...args], { from: 'user' });
  return { ...printed, code: process.exitCode };
}

const dryRun = (...args: string[]) => dryRunOn('default_account: me\n', ...args);

afterEach(() => {
  vi.restoreAllMocks();
  vi.unstubAllEnvs();
  process.exitCode = 0;
});

describe('srtctl dry-run', () => {
  const files = {
    'a.yaml': small,
    'b.yaml': small.replace('h100', '[h100]'),
    'c.yaml': small.replace('decode_workers: 1', 'decode_workers: 99'),
  };

  it('prints one line of JSON for each allocation', async () => {
    const { out, code } = await dryRun('-f', join(writeFiles(files), 'a.yaml'), '--json');
    const [line, ...more] = out.trim().split('\n');
    expect(more).toEqual([]);
    const allocation = JSON.parse(line ?? '');
    expect(code).toBe(0);
    expect(allocation).toMatchObject({ variant: '', name: 'small', totalNodes: 2 });
    expect(allocation.sbatch).toContain('#SBATCH --account=me');
    expect(allocation.points[0].processes[0]).toMatchObject({
      id: 'prefill-0-0',
      role: 'prefill',
      mode: 'prefill',
      index: 0,
      rank: 0,
      node: 'node1',
      log: 'node1_prefill_w0.out',
      ports: { http: 6100, bootstrap: 7200, kvEvents: 5200, nixl: 5400, system: 7500 },
    });
  });

  it('continues after a wrong recipe, names it, and ends with 2', async () => {
    const { out, code } = await dryRun('-f', writeFiles(files), '--json');
    const lines = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(code).toBe(2);
    expect(lines.map((line) => typeof line.error)).toEqual(['undefined', 'string', 'string']);
    expect(lines[1].error).toMatch(/b\.yaml:4:3: resources\.gpu_type: must be text$/);
    expect(lines[2].error).toMatch(/c\.yaml:9:3: resources\.decode_workers: 99 decode workers do not fit/);
  });

  const swept = (sweep: string) =>
    `sweep: ${sweep}\n${small.replace('isl: 128', 'isl: "{isl}"').replace('decode: {', 'decode: {max-running-requests: "{most}", ')}`;
  const sweep = '{point_time_limit: 30, isl: [1, 2], most: [8, 16]}';

  it('shows the points of a sweep in running order, with the changes of each', async () => {
    const file = join(writeFiles({ 'a.yaml': swept(sweep) }), 'a.yaml');
    const { out } = await dryRun('-f', file, '--json');
    const allocation = JSON.parse(out);
    expect(allocation).toMatchObject({ order: [0, 2, 1, 3], engineLoads: 3 });
    expect(allocation.points.map(({ ordinal }: { ordinal: number }) => ordinal)).toEqual([0, 2, 1, 3]);
    expect(allocation.points[2]).toMatchObject({
      params: { isl: 1, most: 16 },
      keep: ['prefill-0-0'],
      restart: ['decode-0-0', 'frontend-0'],
      engineLoads: 1,
    });
    vi.restoreAllMocks();
    const people = await dryRun('-f', file);
    expect(people.out).toMatch(/2 nodes of 8 GPUs, 4 points, 3 engine loads in place of 8/);
    expect(people.out).toMatch(/│ 1 +│ small_isl1_most16 +│ 1 +│ prefill-0-0 +│ decode-0-0, frontend-0 +│/);
    // A command that has been running since an earlier point is not shown again.
    expect(people.out.match(/^prefill-0-0 on node1/gm)).toHaveLength(1);
    expect(people.out.match(/^decode-0-0 on node2/gm)).toHaveLength(2);
    expect(people.out.match(/^benchmark on/gm)).toHaveLength(4);
  });

  it('shows each allocation that apply would make, why there are several, and what does not fit', async () => {
    const limited = `${swept(sweep)}slurm: {time_limit: "01:00:00"}\n`;
    const tight = await dryRun('-f', writeFiles({ 'a.yaml': limited }), '--json');
    expect(tight.err).toMatch(/note: .*a\.yaml:1:9: small: 4 points of up to 00:30:00 each do not fit/);
    vi.restoreAllMocks();
    const apart = limited.replace('sweep: {', 'sweep: {allocation: per-point, ');
    const { out, err } = await dryRun('-f', writeFiles({ 'a.yaml': apart }), '--json');
    expect(err).toBe('');
    const names = out
      .trim()
      .split('\n')
      .map((line) => [JSON.parse(line).name, JSON.parse(line).order]);
    expect(names).toEqual([
      ['small_isl1_most8', [0]],
      ['small_isl1_most16', [1]],
      ['small_isl2_most8', [2]],
      ['small_isl2_most16', [3]],
    ]);
  });

  it('shows the nodes and the commands to people', async () => {
    const { out, err, code } = await dryRun('-f', writeFiles({ 'a.yaml': small }));
    expect(code).toBe(0);
    expect(err).toBe('');
    expect(out).toMatch(/2 nodes of 8 GPUs, 1 point/);
    expect(out).toMatch(/node2 .*decode-0-0 .*0,1,2,3,4,5,6,7 .*http 6100/);
    expect(out).toContain('python3 -m sglang.launch_server --model-path /model');
  });

  it('shows the container that an agent starts around a command, with its mounts', async () => {
    const cluster = 'container_runtime: docker\ndefault_mounts: {/data: "/data:ro"}\n';
    const { out } = await dryRunOn(cluster, '-f', writeFiles({ 'a.yaml': small }));
    expect(out).toMatch(/^ {2}docker run --rm .*source=\/data,target=\/data,readonly.* --gpus all/m);
    expect((await dryRunOn('{}', '-f', writeFiles({ 'a.yaml': small }))).out).not.toContain('docker run');
  });
});
