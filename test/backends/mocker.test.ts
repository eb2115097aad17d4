import { describe, expect, it } from 'vitest';
import { pointOf, processOf } from '../support/plan.ts';

const recipe = `name: m
model: {path: hf:org/Model-1, container: repo/i, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 4, prefill_nodes: 1, prefill_workers: 1, decode_nodes: 1, decode_workers: 1}
frontend: {enable_multiple_frontends: false}
backend:
  type: mocker
  speedup_ratio: 10
  enable_prefix_caching: false
  block_size: 32
  decode_environment: {WHO: "{node}"}
  mocker_config: {decode: {max-num-seqs: 7}}
`;

describe('a mocker worker', () => {
  it('has the recipe’s options of the engine, followed by those of the mode', () => {
    const { argv, env, probe } = processOf(recipe, 'decode-0-0');
    expect(argv.join(' ')).toBe(
      'python3 -m dynamo.mocker --model-path org/Model-1 --disaggregation-mode decode --engine-type vllm --speedup-ratio 10.0 --data-parallel-size 1 --num-gpu-blocks-override 16384 --max-num-seqs 256 --max-num-batched-tokens 8192 --block-size 32 --no-enable-prefix-caching --max-num-seqs 7',
    );
    expect(env.WHO).toBe('node2');
    expect(probe).toMatchObject({ host: '10.0.0.2', port: 7501, path: '/health' });
  });

  it('gets the port from which decode workers fetch, when it prefills', () => {
    expect(processOf(recipe, 'prefill-0-0').argv.join(' ')).toContain('--bootstrap-ports 7200');
  });

  it('is refused by all frontends except Dynamo', () => {
    expect(() => pointOf(recipe.replace('frontend: {', 'frontend: {type: sglang, '))).toThrow(
      /no mocker workers/,
    );
  });
});
