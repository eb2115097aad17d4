import { describe, expect, it } from 'vitest';
import { commandOf, type OutsideRun } from '../../../src/benchmarks/loadgen/outside/command.ts';

const config: OutsideRun['config'] = {
  ...{ url: 'http://10.0.0.1:8000', endpoint: '/v1/completions', useChatTemplate: null },
  ...{ tokenizer: null, modelPath: '/model', dataset: { name: 'random' }, isl: 1_000, osl: 100 },
  ...{ randomRangeRatio: 0.8, requestRate: 'inf', arrivals: 'poisson', burstiness: 1 },
  ...{ reuseConnections: false, headers: {}, extraBody: {}, seed: 7 },
};
const run: OutsideRun = {
  ...{ config, model: 'served', concurrency: 16, requests: 160, warmups: 32 },
  ...{ directory: '/point/x', args: ['--fps', '1'] },
};
/** The words after an option. */
const wordAfter = (argv: readonly string[], option: string): string | undefined => {
  expect(argv.filter((word) => word === option)).toHaveLength(1);
  return argv[argv.indexOf(option) + 1];
};

describe('the command line of another client', () => {
  it('has the load and the lengths of the recipe', () => {
    for (const [name, number, most, warmups] of [
      ['vllm-bench', '--num-prompts', '--max-concurrency', '--num-warmups'],
      ['sglang-bench', '--num-prompts', '--max-concurrency', '--warmup-requests'],
      ['aiperf', '--request-count', '--concurrency', '--warmup-request-count'],
    ] as const) {
      const { argv } = commandOf[name](run);
      expect([number, most, warmups].map((option) => wordAfter(argv, option))).toEqual(['160', '16', '32']);
      expect(wordAfter(argv, '--tokenizer')).toBe('/model');
      expect(argv).not.toContain('--request-rate');
    }
  });

  it('gives lengths between 0.8 of the recipe and the recipe', () => {
    const { argv } = commandOf['vllm-bench'](run);
    const [length, ratio] = ['--random-input-len', '--random-range-ratio'].map((option) =>
      Number(wordAfter(argv, option)),
    );
    expect((length ?? 0) * (1 - (ratio ?? 0))).toBeCloseTo(800, 0);
    expect((length ?? 0) * (1 + (ratio ?? 0))).toBeCloseTo(1_000, 0);
    const sglang = commandOf['sglang-bench'](run).argv;
    expect([wordAfter(sglang, '--random-input-len'), wordAfter(sglang, '--random-range-ratio')]).toEqual([
      '1000',
      '0.8',
    ]);
    const aiperf = commandOf.aiperf(run).argv;
    expect([wordAfter(aiperf, '--isl'), wordAfter(aiperf, '--random-range-ratio')]).toEqual(['1000', '0.8']);
    expect(wordAfter(aiperf, '--random-corpus-style')).toBe('sglang');
  });

  it('has the rate, the headers and the further options where the recipe has them', () => {
    const more = {
      ...run,
      config: {
        ...config,
        requestRate: 5,
        arrivals: 'gamma' as const,
        burstiness: 0.5,
        headers: { 'x-a': 'b' },
      },
    };
    const vllm = commandOf['vllm-bench'](more).argv;
    expect([
      wordAfter(vllm, '--request-rate'),
      wordAfter(vllm, '--burstiness'),
      wordAfter(vllm, '--header'),
    ]).toEqual([...['5', '0.5', 'x-a=b']]);
    const aiperf = commandOf.aiperf(more).argv;
    expect([wordAfter(aiperf, '--arrival-pattern'), wordAfter(aiperf, '--header')]).toEqual([
      'gamma',
      'x-a:b',
    ]);
    expect(aiperf.slice(-2)).toEqual(['--fps', '1']);
  });

  it('asks the chat endpoint where the engine is to apply its template', () => {
    const chat = { ...run, config: { ...config, useChatTemplate: true } };
    expect(wordAfter(commandOf['vllm-bench'](chat).argv, '--endpoint')).toBe('/v1/chat/completions');
    expect(wordAfter(commandOf['sglang-bench'](chat).argv, '--backend')).toBe('sglang-oai-chat');
    expect(wordAfter(commandOf.aiperf(chat).argv, '--endpoint-type')).toBe('chat');
  });

  it('is refused without a tokenizer', () => {
    const without = { ...run, config: { ...config, modelPath: null } };
    expect(() => commandOf['vllm-bench'](without)).toThrow('benchmark.tokenizer');
  });
});
