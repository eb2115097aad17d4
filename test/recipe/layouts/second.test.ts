import { describe, expect, it } from 'vitest';
import { placeIn } from '../../../src/recipe/variant.ts';
import { lineOf, loadText } from '../write.ts';

const first = `name: pair
model: {path: /models/m, container: repo/image:1, precision: fp8}
resources:
  gpu_type: h100
  gpus_per_node: 8
  prefill_nodes: 1
  prefill_workers: 1
  gpus_per_prefill: 4
  decode_nodes: 0
  decode_workers: 2
  gpus_per_decode: 2
dynamo: {version: 1.4.2}
frontend: {type: sglang, enable_multiple_frontends: false}
backend:
  type: sglang
  prefill_environment: {A: 1}
  kv_events_config: {prefill: true}
  sglang_config:
    prefill: {tp-size: 4}
    decode: {tp-size: 2, served-model-name: m}
supervision: {critical: {decode: false}}
benchmark: {type: sa-bench, isl: 8, osl: 8, concurrencies: [1]}
`;

const second = `schema: 2
name: pair
model: {path: /models/m, container: repo/image:1, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 8}
dynamo: {source: {pypi: 1.4.2}}
frontend: {type: sglang-router, enable_multiple_frontends: false}
engine: sglang
roles:
  prefill:
    nodes: 1
    workers: 1
    gpus: 4
    env: {A: 1}
    kv_events: true
    args: {tp-size: 4}
  decode:
    nodes: colocate
    workers: 2
    gpus: 2
    critical: false
    args: {tp-size: 2, served-model-name: m}
benchmark: {type: sa-bench, isl: 8, osl: 8, concurrencies: [1]}
`;

const recipeOf = (text: string) => loadText(text)[0]?.points[0]?.recipe;

const changed = (from: string, to: string): string => {
  expect(second).toContain(from);
  return second.replace(from, to);
};

describe('a recipe of the second layout', () => {
  it('is the same canonical recipe as its twin of the first layout', () => {
    expect(recipeOf(second)).toEqual(recipeOf(first));
  });

  it('needs no schema where its sections tell the layout', () => {
    expect(recipeOf(changed('schema: 2\n', ''))).toEqual(recipeOf(first));
  });

  it('may have backend in place of engine, as recipes from between the layouts do', () => {
    const between = changed('engine: sglang', 'backend: {type: sglang}').replace('sglang-router', 'sglang');
    expect(recipeOf(between)).toEqual(recipeOf(first));
    expect(recipeOf(`schema: 2\n${first}`)).toEqual(recipeOf(first));
    expect(lineOf(changed('engine: sglang', 'engine: sglang\nbackend: {type: sglang}'))).toBe(
      'recipe.yaml:7:1: engine: is what `backend` says too: write one of them',
    );
  });

  it('has an engine with options of its own', () => {
    const recipe = recipeOf(
      changed('engine: sglang', 'engine: {type: vllm, connector: null, set_visible_devices: true}'),
    );
    expect(recipe?.backend).toMatchObject({
      type: 'vllm',
      connector: null,
      set_cuda_visible_devices: true,
      vllm_config: { prefill: { 'tp-size': 4 } },
    });
  });

  it('has an engine for each role, where the roles differ', () => {
    const recipe = recipeOf(
      changed('engine: sglang\n', '')
        .replace('    workers: 1\n', '    workers: 1\n    engine: {type: vllm, connector: null}\n')
        .replace('    workers: 2\n', '    workers: 2\n    engine: sglang\n'),
    );
    expect(recipe?.backend).toMatchObject({ type: 'sglang', sglang_config: { decode: { 'tp-size': 2 } } });
    expect(recipe?.roles?.prefill?.engine).toMatchObject({
      type: 'vllm',
      prefill_environment: { A: '1' },
      vllm_config: { prefill: { 'tp-size': 4 } },
    });
    expect(recipe?.roles?.decode).toBeUndefined();
  });

  it('names a commit, a tag or a wheel of Dynamo', () => {
    const dynamo = (source: string) => recipeOf(changed('{pypi: 1.4.2}', source))?.dynamo;
    expect(dynamo('{git: "https://host/fork", rev: v1.4.2}')).toMatchObject({
      hash: 'v1.4.2',
      git: 'https://host/fork',
    });
    expect(dynamo('{rev: refs/pull/7/head, sha: abc}')).toMatchObject({ hash: 'abc' });
    expect(dynamo('{wheel: 1.5.0.dev1}')).toMatchObject({ wheel: '1.5.0.dev1' });
  });
});

describe('a wrong recipe of the second layout is refused with its own line and path', () => {
  const refused: [string, string, string][] = [
    ['workers: 2', 'worker: 2', '18:5: roles.decode.worker: unknown key (did you mean "workers"?)'],
    [
      'engine: sglang',
      'engine: sglng',
      '7:1: engine: unknown engine "sglng", known: .* (did you mean "sglang"?)',
    ],
    ['roles:\n  prefill:', 'roles:\n  prefil:', '9:3: roles.prefil: unknown key (did you mean "prefill"?)'],
    ['nodes: 1', 'nodes: colocate', '10:5: roles.prefill.nodes: must be a number'],
    ['{tp-size: 4}', '[tp-size]', '15:5: roles.prefill.args: must be a map'],
    ['{tp-size: 4}', '{tp-size: [[1]]}', '15:22: roles.prefill.args.tp-size[0]: must be .*'],
    ['{A: 1}', '{1A: 1}', '13:11: roles.prefill.env.1A: is no name of an environment variable.*'],
    ['{pypi: 1.4.2}', '{pypi: 1.4.2, wheel: 1.5.0}', '5:10: dynamo.source: must name one source.*'],
    ['{pypi: 1.4.2}', '{rev: main}', '5:19: dynamo.source.rev: moves; name a commit.*'],
    ['workers: 1', 'workers: 1\n    engine: vllm', '12:5: roles.prefill.engine: has an engine of its own.*'],
    ['workers: 1', 'workers: 1\n    extra_args: [--x]', '12:5: roles.prefill.extra_args: unknown key'],
    ['gpus_per_node: 8', 'gpus_per_node: 8, prefill_nodes: 1', '4:47: resources.prefill_nodes: unknown key'],
    [
      'schema: 2',
      'schema: 2\nhealth_check: {extra_fatal_log_patterns: [ok, "(?=a)b"]}',
      '2:47: health_check.extra_fatal_log_patterns[1]: .*',
    ],
    ['schema: 2', 'schema: 3', '1:1: schema: .*2.*'],
  ];
  it.each(refused)('%j → %j', (from, to, line) => {
    const pattern = line.split('.*').map((part) => part.replaceAll(/[.[\](){}?*+|^$\\]/g, '\\$&'));
    expect(lineOf(changed(from, to))).toMatch(new RegExp(`^recipe\\.yaml:${pattern.join('.*')}`));
  });

  it('with all problems at once', () => {
    const text = changed('workers: 2', 'worker: 2').replace('gpus: 4', 'gpus: x');
    expect(lineOf(text)).toMatch(/\(\+1 more: --all-errors\)$/);
  });

  it('also when planning refuses it', () => {
    const [variant] = loadText(second);
    if (!variant) throw new Error('no variant');
    expect(placeIn(variant, ['resources', 'decode_workers'])).toMatchObject({
      line: 18,
      path: 'roles.decode.workers',
    });
    expect(placeIn(variant, ['backend', 'sglang_config', 'decode', 'tp-size'])).toMatchObject({
      line: 21,
      path: 'roles.decode.args.tp-size',
    });
  });
});
