import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { registerDryRun } from '../../src/cli/dry-run.ts';
import { small, writeFiles } from '../recipe/write.ts';

/** Runs `dry-run` in this process and takes what it prints. */
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

  it('goes on after a recipe that is wrong, says which it was, and ends with 2', async () => {
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

  it('shows people the nodes and the commands', async () => {
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
