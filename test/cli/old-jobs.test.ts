import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

const srtctl = resolve(import.meta.dirname, '../../dist/srtctl.js');
const fixtures = resolve(import.meta.dirname, '../fixtures/jobs');
const scratch = mkdtempSync(join(tmpdir(), 'srtctl-old-jobs-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const versions = readdirSync(fixtures).filter((name) => !name.endsWith('.md'));

/** A copy of a version's jobs, with its paths adapted. */
function outputsOf(version: string): string {
  const outputs = join(scratch, version);
  cpSync(join(fixtures, version), outputs, { recursive: true });
  for (const entry of readdirSync(outputs, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll('/srv/outputs', outputs));
  }
  return outputs;
}

describe.each(versions)('jobs of %s', (version) => {
  const outputs = outputsOf(version);
  const [done = '', failed = ''] = readdirSync(outputs).sort();

  function run(...args: string[]): string {
    const env = { ...process.env, SRTCTL_OUTPUT: outputs, NO_COLOR: '1' };
    const { stdout, stderr, status } = spawnSync(process.execPath, [srtctl, ...args], {
      env,
      encoding: 'utf8',
    });
    expect(stderr).toBe('');
    expect(status).toBe(0);
    return stdout;
  }

  it('are listed by status', () => {
    const lines = run('status').split('\n');
    expect(lines.find((line) => line.includes(done))).toMatch(/quickstart .* finished \(0\) .* 1 of 1/);
    expect(lines.find((line) => line.includes(failed))).toMatch(/finished \(1\) .* 0 of 1 .* prefill-0-0/);
  });

  it('show all their processes in status', () => {
    expect(run('status', done)).toMatch(
      /point 0 +quickstart: done[\s\S]*node1 benchmark +stopped .* completed/,
    );
    expect(run('status', failed)).toMatch(/point 0 +quickstart: failed[\s\S]*prefill-0-0 failed .* SIGKILL/);
  });

  it('are explained by why', () => {
    expect(run('why', done)).toBe(`job ${done}: nothing has failed\n`);
    const why = run('why', failed);
    expect(why).toContain('prefill-0-0 (prefill worker on node1) failed: ended by SIGKILL');
    expect(why).toContain(`log: ${outputs}/${failed}/logs/node1_prefill_w0.out`);
    expect(why).toContain('The server is fired up and ready to roll!');
  });

  it('show their figures in results', () => {
    const lines = run('results', done, '--json').trim().split('\n');
    expect(lines.map((line) => JSON.parse(line).concurrency)).toEqual([1, 4, 8]);
    expect(run('results', done)).toMatch(/│ 0 .* done .* 1 .*\n.*│ 4 .*\n.*│ 8 /);
    expect(run('results', failed)).toMatch(/│ 0 .* failed .* prefill-0-0/);
    expect(run('results', done, '--csv').trim().split('\n')).toHaveLength(4);
  });
});
