import { describe, expect, it } from 'vitest';
import { checkOptions } from '../../src/engine-options/check.ts';
import type { Known, KnownOption } from '../../src/engine-options/table.ts';

const option = (names: string, rest: Partial<KnownOption> = {}): KnownOption => ({
  ...{ names: names.split(' '), nargs: 1, type: null, choices: null },
  ...rest,
});

const known = (...options: KnownOption[]): Known => ({
  abbreviates: true,
  options: new Map(options.flatMap((one) => one.names.map((name) => [`--${name}`, one] as const))),
});

const parser = known(
  option('model-path model'),
  option('tensor-parallel-size tp-size', { type: 'int' }),
  option('fraction', { type: 'float' }),
  option('trust-remote-code', { nargs: 0 }),
  option('cache no-cache', { nargs: 0 }),
  option('buckets', { nargs: '+', type: 'float' }),
  option('graphs', { nargs: '*' }),
  option('backend', { choices: ['fa3', 'triton'] }),
  option('enable-a', { nargs: 0 }),
  option('enable-b', { nargs: 0 }),
  option('maybe', { nargs: '?' }),
);
const textsOf = (...argv: string[]) => checkOptions(argv, parser).map(({ text }) => text);

describe('a command line whose parser is known', () => {
  it('has nothing to complain about when argparse would take it', () => {
    const argv = [
      ...['--model-path', '/m', '--tp-size=8', '--fraction', '.5', '--trust-remote-code', '--no-cache'],
      ...['--buckets', '1', '2.5', '1e3', '--graphs', '--backend', 'fa3', '--maybe', '--maybe', 'x'],
    ];
    expect(textsOf(...argv)).toEqual([]);
  });

  it('has values that look like options only when argparse takes them for values', () => {
    expect(textsOf('--fraction', '-1', '--model-path', '-', '--graphs', '-0.5', '-7')).toEqual([]);
    expect(textsOf('--model-path', '{"a": "--b"}', '--graphs', '--not an option')).toEqual([]);
  });

  it('has an unknown option, with all known ones to choose from', () => {
    const [complaint] = checkOptions(['--model', 'm', '--tensor-parallel-sise', '8'], parser);
    expect(complaint?.text).toBe('has no option --tensor-parallel-sise');
    expect(complaint?.option).toBe('--tensor-parallel-sise');
    expect(complaint?.instead?.among).toContain('--tensor-parallel-size');
  });

  it('may shorten an option, unless several begin like that', () => {
    expect(textsOf('--trust', '--tp', '8', '--back', 'triton')).toEqual([]);
    expect(textsOf('--enable')).toEqual(['cannot tell which option --enable is: --enable-a, --enable-b']);
    expect(checkOptions(['--trust'], { ...parser, abbreviates: false })[0]?.text).toBe(
      'has no option --trust',
    );
  });

  it('has too many or too few values', () => {
    expect(textsOf('--model-path', 'a', 'b')).toEqual(['takes one value for --model-path']);
    expect(textsOf('--model-path')).toEqual(['wants a value for --model-path']);
    expect(textsOf('--buckets')).toEqual(['wants a value for --buckets']);
    expect(textsOf('--trust-remote-code', 'true')).toEqual(['takes no value for --trust-remote-code']);
    expect(textsOf('--trust-remote-code=true')).toEqual(['takes no value for --trust-remote-code']);
    expect(textsOf('--maybe', 'a', 'b')).toEqual(['takes one value for --maybe']);
  });

  it('has values of another type, or none of the choices', () => {
    expect(textsOf('--tp-size', '8.0')).toEqual(['wants a whole number for --tp-size, not "8.0"']);
    expect(textsOf('--fraction', 'half')).toEqual(['wants a number for --fraction, not "half"']);
    expect(textsOf('--backend', 'fa2')).toEqual(['has no --backend "fa2": fa3, triton']);
  });
});

describe("vLLM's parser", () => {
  const vllm = known(option('max-model-len', { type: 'int' }), option('compilation-config'));
  const check = (...argv: string[]) => checkOptions(argv, vllm, { vllm: true }).map(({ text }) => text);

  it('reads underscores as dashes, and dots as keys of a JSON value', () => {
    expect(check('--max_model_len', '8192', '--compilation_config.pass_config.fuse', 'true')).toEqual([]);
    expect(check('--max_model_lem', '8192')).toEqual(['has no option --max_model_lem']);
  });
});
