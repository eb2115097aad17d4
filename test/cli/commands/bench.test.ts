import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../../src/platform/local/local-platform.ts';
import { destroyAll, engineArgv, healthy, nodeAddress, start } from '../../simulator/stand-ins.ts';
import { until } from '../../support/bus.ts';

const address = nodeAddress(31);
const port = await freePort(address);
const url = `http://${address}:${port}`;
const directory = await mkdtemp(join(tmpdir(), 'srtctl-bench-test-'));
beforeAll(async () => {
  start(address, engineArgv(port, '--context-length', '1000'));
  await healthy(`${url}/health`);
});
afterAll(async () => {
  await destroyAll();
  await rm(directory, { recursive: true, force: true });
});

/** The client runs beside other tests, and a busy machine makes it late. */
const ANY_CLIENT =
  'validity={send_lag_ms: false, loop_delay_ms: false, client_busy: false, client_frozen_ms: false, slow_start: false}';

function bench(...args: readonly string[]) {
  const argv = [resolve('dist/srtctl.js'), 'bench', '--url', url, '--set', ANY_CLIENT, ...args];
  const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
  const run = {
    ...{ child, stdout: '', stderr: '', ended: Promise.resolve<number | null>(null) },
    said: () => run.stdout + run.stderr,
  };
  child.stdout.on('data', (data) => {
    run.stdout += data;
  });
  child.stderr.on('data', (data) => {
    run.stderr += data;
  });
  run.ended = new Promise((done) => child.once('close', (code) => done(code)));
  return run;
}
const shape = ['--isl', '32', '--osl', '8'];

describe('srtctl bench', () => {
  it('measures a server at several concurrencies, and keeps results where it is told to', async () => {
    const output = join(directory, 'kept');
    const run = bench(...shape, '--concurrency', '1x2', '--gpus', '4', '--output', output);
    expect(await run.ended, run.stderr + run.stdout).toBe(0);
    expect(run.stdout).toContain('tok/s/GPU');
    expect(run.stdout).toMatch(/\nvalid\n {2}not checked: /);
    expect(run.stdout).toContain(
      'not checked: prompt_tokens, because the exact length of the prompts is not known',
    );
    expect(await readdir(output)).toEqual(
      expect.arrayContaining(['results_concurrency_1.json', 'requests_concurrency_2.jsonl', 'loadgen.json']),
    );
    const again = bench(...shape, '--concurrency', '4', '--output', output);
    expect(await again.ended).toBe(2);
    expect(again.stderr).toContain('has results of an earlier run');
  });

  it('measures at several rates, with a JSON object for each, and nothing else on standard output', async () => {
    const run = bench(...shape, '--rate', '20x40', '--requests', '20', '--slo', 'ttft=60000', '--json');
    expect(await run.ended, run.stderr).toBe(0);
    const lines = run.stdout.trim().split('\n');
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      { name: 'rate-20', requestRate: 20, completed: 20, valid: true, goodput: { share: 1 } },
      { name: 'rate-40', requestRate: 40, completed: 20, valid: true, goodput: { share: 1 } },
    ]);
    expect(run.stderr).toContain('measure');
  });

  it('ends with 1 when figures do not count, and says why', async () => {
    // The context of 1,000 tokens has no room for them.
    const run = bench('--isl', '500', '--osl', '900', '--concurrency', '1');
    expect(await run.ended).toBe(1);
    expect(run.stdout + run.stderr).toMatch(/first request failed|not valid/);
  });

  it('measures no other model than the one asked for by name', async () => {
    const run = bench(...shape, '--concurrency', '1', '--model', 'another');
    expect(await run.ended).toBe(1);
    expect(run.stderr).toContain('does not list the model of this deployment, "another", but a/model');
  });

  it('takes an address with /v1, and refuses a path that the server does not have', async () => {
    const whole = bench(...shape, '--concurrency', '1', '--url', `${url}/v1/`);
    expect(await whole.ended, whole.said()).toBe(0);
    const behind = bench(...shape, '--concurrency', '1', '--url', `${url}/gateway`);
    expect(await behind.ended).toBe(1);
    expect(behind.stderr).toContain(`${url}/gateway/v1/models`);
  });

  it('names the file of certificates that has none', async () => {
    const file = resolve('package.json');
    const https = url.replace('http:', 'https:');
    const run = bench(...shape, '--concurrency', '1', '--url', https, '--ca-file', file);
    expect(await run.ended).toBe(1);
    expect(run.stderr).toContain(`${file} has no certificate (PEM)`);
  });

  it('keeps what was finished when it is stopped, and leaves no process', async () => {
    const run = bench(...shape, '--concurrency', '1x2', '--set', 'num_prompts_mult=2000', '--json');
    await until('the measurement', () => run.stderr.includes('measure'));
    run.child.kill('SIGINT');
    expect(await run.ended, run.stderr).toBe(130);
    expect(run.stderr).toContain('stopped by');
  });

  it.each([
    [['--concurrency', '2'], '--isl is missing'],
    [[...shape, '--concurrency', '0'], '--concurrency 0: must be numbers above 0'],
    [[...shape], '--concurrency is missing'],
    [[...shape, '--concurrency', '1x2', '--requests', '9'], '--requests needs one concurrency'],
    [[...shape, '--concurrency', '2', '--slo', 'tpot=3'], '--slo tpot=3: has tpot'],
    [[...shape, '--concurrency', '2', '--set', 'nosuch=1'], '--set nosuch: Unrecognized key'],
    [[...shape, '--concurrency', '2', '--set', 'isl=9'], '--set isl=…: --isl says it already'],
    [[...shape, '--concurrency', '2x2'], '--concurrency 2x2: has a number twice'],
    [[...shape, '--rate', '2', '--requests', '9', '--duration', '3'], '--requests and --duration'],
    [[...shape, '--concurrency', '2', '--output', '/proc/x/y'], 'cannot write /proc/x/y'],
    [[...shape, '--concurrency', '2', '--output', '/etc/passwd'], 'cannot write /etc/passwd'],
    [[...shape, '--concurrency', '2', '--url', 'http://a/v1/chat/completions'], 'ends before /v1'],
    [[...shape, '--concurrency', '2', '--url', 'http://a:b@c'], '--api-key-env'],
    [[...shape, '--concurrency', '2', '--ca-file', '/no/such.pem'], '--ca-file: /no/such.pem cannot be read'],
    [
      [...shape, '--concurrency', '2', '--tokenizer', '/no'],
      '--tokenizer: /no/tokenizer.json cannot be read',
    ],
    [[...shape, '--concurrency', '2', '--dataset', 'custom', '--dataset-path', '/etc'], '/etc is no file'],
    [
      [...shape, '--concurrency', '2', '--api-key-env', 'NO_SUCH_KEY'],
      'the environment has no such variable',
    ],
    [[...shape, '--concurrency', '2', '--dataset', 'nosuch'], '--dataset is nosuch'],
    [[...shape, '--concurrency', '2', '--json', '--csv'], '--csv and --json'],
  ])('refuses %j', async (args, text) => {
    const run = bench(...args);
    expect(await run.ended).toBe(2);
    expect(run.stderr).toContain(text);
  });
});
