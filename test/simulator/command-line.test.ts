import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Arguments } from '../../src/simulator/common/argv.ts';
import { engineOptions } from '../../src/simulator/engine/engine-options.ts';
import { destroyAll, engineArgv, nodeAddress, start } from './stand-ins.ts';

const golden = resolve(import.meta.dirname, '../../../shared/golden/plans.jsonl.gz');
const address = nodeAddress(2);
afterEach(destroyAll);

const optionsOf = (...argv: string[]) => engineOptions(new Arguments(['--model-path', '/model', ...argv]));

describe('an engine’s command line', () => {
  it.each([
    ['no model', ['python3', '-m', 'sglang.launch_server', '--port', '6100'], 2, '--model-path'],
    ['a rank outside nnodes', rank('2', '2', '127.0.0.1:8300'), 1, 'node_rank 2'],
    ['several nodes without --dist-init-addr', engineArgv(6100, '--nnodes', '2'), 1, '--dist-init-addr'],
    [
      'a tp that the node count does not divide',
      [...rank('0', '2', 'h:1'), '--tp-size', '3'],
      1,
      'divisible',
    ],
    ['an unknown mode', engineArgv(6100, '--disaggregation-mode', 'both'), 2, "invalid choice: 'both'"],
    ['a port that is not a number', [...engineArgv(1), '--port', 'http'], 2, "invalid int value: 'http'"],
  ])('is refused with %s', async (_, argv, code, message) => {
    const engine = start(address, argv);
    expect(await engine.ended()).toBe(code);
    expect(engine.output).toContain(message);
  });

  it.each([
    [
      engineArgv(6100, '--kv-mode', 'flux', '--trust-remote-code'),
      'launch_server.py: error: unrecognized arguments: --kv-mode flux',
    ],
    [
      ['python3', '-m', 'dynamo.trtllm', '--model-path', '/model', '--kv-mode', 'flux'],
      'dynamo.trtllm: error: unrecognized arguments: --kv-mode flux',
    ],
    [['trtllm-serve', '/model', '--chat_template', 'x'], 'Error: No such option: --chat_template'],
  ])('is refused with an option in SRTCTL_SIM_UNKNOWN_OPTIONS: %j', async (argv, message) => {
    const engine = start(address, argv, { SRTCTL_SIM_UNKNOWN_OPTIONS: '--other --kv-mode --chat_template' });
    expect(await engine.ended(), engine.output).toBe(2);
    expect(engine.output.trim().split('\n').at(-1)).toBe(message);
  });

  it.each([
    [['trtllm-serve', '/model', '--kv_mode', 'flux'], 'Error: No such option: --kv_mode'],
    [
      ['trtllm-serve', '/model', '--tensor-parallel-size', '2'],
      'Error: No such option: --tensor-parallel-size',
    ],
    [['trtllm-serve', 'disaggregated', '--config', 'x.yaml'], 'Error: No such option: --config'],
    [['trtllm-serve', '/model', '--port'], "Error: Option '--port' requires an argument."],
  ])('is refused with an option that TensorRT-LLM does not have: %j', async (argv, message) => {
    const engine = start(address, argv);
    expect(await engine.ended(), engine.output).toBe(2);
    expect(engine.output.trim().split('\n').at(-1)).toBe(message);
  });

  it('counts the last of a repeated option, in whichever spelling', () => {
    const argv = ['--disaggregation-bootstrap-port', '7200', '--disaggregation-bootstrap-port', '31000'];
    expect(optionsOf(...argv).bootstrapPort).toBe(31_000);
    expect(optionsOf('--nnodes', '2', '--dist-init-addr', 'h:1', '--tp-size', '3', '--tp', '4').nnodes).toBe(
      2,
    );
    expect(() =>
      optionsOf('--nnodes', '2', '--dist-init-addr', 'h:1', '--tp', '4', '--tp-size', '3'),
    ).toThrow('divisible');
  });

  it('accepts unknown options, with no value, several, or one in JSON', () => {
    const { record } = optionsOf(
      ...['--trust-remote-code', '--cuda-graph-bs', '1', '2', '4', '--chunked-prefill-size', '-1'],
      ...['--deepep-config', '{"normal_dispatch":{"num_sms":96}}', '--kv=a=b'],
    );
    expect(record).toMatchObject({
      trust_remote_code: true,
      cuda_graph_bs: ['1', '2', '4'],
      // The real server info has a number here, and routers refuse a text.
      chunked_prefill_size: -1,
      deepep_config: '{"normal_dispatch":{"num_sms":96}}',
      kv: 'a=b',
    });
  });

  it('has a bootstrap port even without the option', () => {
    expect(optionsOf('--disaggregation-mode', 'prefill').bootstrapPort).toBe(8_998);
  });

  // The reference's plans for the public recipes are not part of the repository.
  it.skipIf(!existsSync(golden) && process.env.CI !== 'true')('is accepted for every public recipe', () => {
    let count = 0;
    for (const line of gunzipSync(readFileSync(golden)).toString().trim().split('\n')) {
      const plan = JSON.parse(line) as { workers: { argv: string[] }[] };
      for (const { argv } of plan.workers) {
        const at = argv.findIndex((word) => word === 'sglang.launch_server' || word === 'dynamo.sglang');
        if (at < 0) continue;
        count++;
        const { port, nodeRank, modelPath } = engineOptions(new Arguments(argv.slice(at + 1)));
        expect(modelPath).not.toBe('');
        expect(port === 0).toBe(nodeRank > 0);
      }
    }
    expect(count).toBeGreaterThan(2_000);
  });
});

describe("python on the stand-ins' PATH", () => {
  const mockBin = resolve('dist/mock-bin');
  let realBin: string;
  beforeAll(async () => {
    realBin = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
    for (const name of ['python3', 'python'])
      await writeFile(join(realBin, name), '#!/bin/sh\necho "real $0 $*"\necho "$PATH"\n', { mode: 0o755 });
  });
  afterAll(() => rm(realBin, { recursive: true, force: true }));

  it.each(['python3', 'python'])('runs everything else in the real %s', async (name) => {
    const PATH = `${mockBin}:${realBin}:${process.env.PATH}`;
    const real = start(address, [name, '-m', 'http.server', 'a b'], { PATH });
    expect(await real.ended(), real.output).toBe(0);
    expect(real.output).toContain(`real ${realBin}/${name} -m http.server a b\n`);
  });

  it('does not find itself again when PATH contains its directory in another spelling', async () => {
    const PATH = `${mockBin}:${mockBin}/:${resolve('dist')}/../dist/mock-bin:${realBin}:${process.env.PATH}`;
    const real = start(address, ['python3', '-V'], { PATH });
    expect(await real.ended()).toBe(0);
    expect(real.output).toContain(`real ${realBin}/python3 -V\n`);
    expect(real.output).not.toContain('mock-bin');
  });

  it('reports when there is no other python', async () => {
    const real = start(address, [join(mockBin, 'python3'), '-V'], { PATH: mockBin });
    expect(await real.ended()).toBe(127);
  });
});

function rank(nodeRank: string, nnodes: string, at: string): string[] {
  return engineArgv(6100, '--nnodes', nnodes, '--node-rank', nodeRank, '--dist-init-addr', at);
}
