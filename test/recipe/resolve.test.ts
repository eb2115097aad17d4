import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { benchmarkFor, benchmarkTypes, runnableBenchmarkTypes } from '../../src/benchmarks/index.ts';
import { requireRunnable } from '../../src/recipe/checks/runnable.ts';
import { warningsOf } from '../../src/recipe/checks/warnings.ts';
import { recipeSchema } from '../../src/recipe/layouts/recipe-schema.ts';
import { findClusterConfig } from '../../src/recipe/schema/cluster.ts';
import { cluster, loadText, small, writeFiles } from './write.ts';

const recipeOf = (...args: Parameters<typeof loadText>) => loadText(...args)[0]?.points[0]?.recipe;

describe('the cluster config for a recipe', () => {
  it('adds models, images and GPUs per node', () => {
    const text = small
      .replace('/models/m', 'alias')
      .replace('repo/image:1', 'engine')
      .replace('  gpus_per_node: 8\n', '');
    const config = cluster({
      model_paths: { alias: '/m/x' },
      containers: { engine: '/i/x.sqsh' },
      gpus_per_node: 4,
    });
    const recipe = recipeOf(text, { cluster: config });
    expect(recipe?.model).toMatchObject({ path: '/m/x', container: '/i/x.sqsh' });
    expect(recipe?.resources.gpus_per_node).toBe(4);
  });

  it('fills environment variables in paths and keeps those that are not set', () => {
    const text = `${small.replace('/models/m', '"$MODELS/m/${SIZE}"')}environment: {A: $MODELS, B: $UNSET}\n`;
    const recipe = recipeOf(text, { env: { MODELS: '/big' } });
    expect(recipe?.model.path).toBe('/big/m/${SIZE}');
    expect(recipe?.environment).toEqual({ A: '/big', B: '$UNSET' });
  });

  it('keeps the point of a float that ends on a command line, and spells booleans of an environment as Python does', () => {
    const recipe = recipeOf(
      `${small.replace('decode: {tensor-parallel-size: 8}', 'decode: {a: 1.0, b: 0.90, c: 3}')}environment: {A: true, B: 2}\n`,
    );
    expect(recipe?.backend).toMatchObject({ sglang_config: { decode: { a: '1.0', b: 0.9, c: 3 } } });
    expect(recipe?.environment).toEqual({ A: 'True', B: '2' });
  });
});

describe('the cluster config', () => {
  const file = { 'srtslurm.yaml': 'default_account: here\n', 'a/b/c/x': '' };

  it('is found here or up to two directories above; SRTSLURM_CONFIG takes precedence', () => {
    const directory = writeFiles({ ...file, 'other.yaml': 'default_account: named\n' });
    expect(findClusterConfig({}, join(directory, 'a/b')).default_account).toBe('here');
    expect(findClusterConfig({}, join(directory, 'a/b/c')).default_account).toBeUndefined();
    expect(
      findClusterConfig({ SRTSLURM_CONFIG: '../other.yaml' }, join(directory, 'a')).default_account,
    ).toBe('named');
  });

  it('is refused when the named file does not exist, or contains something impossible', () => {
    const directory = writeFiles({ 'srtslurm.yaml': 'gpus_per_node: four\n' });
    expect(() => findClusterConfig({ SRTSLURM_CONFIG: '/nowhere.yaml' }, directory)).toThrow(
      /nowhere\.yaml, which does not exist/,
    );
    expect(() => findClusterConfig({}, directory)).toThrow(/must be a number/);
  });
});

describe('a recipe is not run', () => {
  const check = (text: string, mock = false, containers = false, exists = true) => {
    for (const variant of loadText(text)) requireRunnable(variant, { mock, containers }, () => exists);
  };

  it('when its model is an unknown alias, unless engines are mocked', () => {
    const text = small.replace('/models/m', 'alias');
    expect(() => check(text, false, false, false)).toThrow(/"alias" is no alias in model_paths/);
    expect(() => check(text, true, false, false)).not.toThrow();
    expect(() => check(small.replace('/models/m', 'hf:org/name'), false, false, false)).not.toThrow();
    expect(() => check(small, false, false, false)).toThrow(/model directory \/models\/m does not exist/);
  });

  it('when its image is an unknown alias, for a run with containers', () => {
    const text = small.replace('repo/image:1', 'engine');
    expect(() => check(text, false, true)).toThrow(/"engine" is no alias in containers/);
    expect(() => check(text, false, false)).not.toThrow();
    expect(() => check(small, false, true)).not.toThrow();
  });

  it('when a variable in its model path is not set', () => {
    expect(() => check(small.replace('/models/m', '$NOT_SET/m'))).toThrow(
      /environment variable \$NOT_SET is not set/,
    );
  });

  it('when a file of its benchmark is missing here, for a run without containers', () => {
    const file = small.replace(
      'type: sa-bench',
      'type: sa-bench, dataset_name: custom, dataset_path: /data/p',
    );
    expect(() => check(file, true, false, false)).toThrow(/\/data\/p does not exist/);
    expect(() => check(file, true, true, false)).not.toThrow();
    const tokenizer = (path: string) => small.replace('type: sa-bench', `type: sa-bench, tokenizer: ${path}`);
    const named = (path: string) => tokenizer(path).replace('/models/m', 'hf:org/model');
    expect(() => check(named('/models/t'), false, false, false)).toThrow(/\/models\/t does not exist/);
    expect(() => check(named('/models/t'), true, false, false)).not.toThrow();
    expect(() => check(named('org/name'), false, false, false)).not.toThrow();
  });

  it('when its benchmark is known and has no runner yet, or lacks a setting', () => {
    expect(() => check(small.replace('type: sa-bench', 'type: router'), true)).toThrow(
      /benchmark "router" is known but cannot be run yet/,
    );
    expect(() => check(small.replace('isl: 128, ', ''), true)).toThrow(
      expect.objectContaining({ place: expect.objectContaining({ path: 'benchmark.isl', line: 17 }) }),
    );
  });

  it('only for benchmark types that have no runner', () => {
    const have = benchmarkTypes.filter((type) => benchmarkFor(type) !== undefined);
    expect([...runnableBenchmarkTypes].sort()).toEqual([...have].sort());
  });
});

it('a resolved recipe does not change when it is read again, with and without concurrencies', () => {
  const base = {
    name: 'r',
    model: { path: 'm', container: 'c', precision: 'fp8' },
    resources: { gpu_type: 'h100', gpus_per_node: 8, agg_nodes: 1, agg_workers: 1 },
  };
  for (const benchmark of [
    {},
    { type: 'custom', command: 'true' },
    { type: 'sa-bench', concurrencies: '4x8' },
  ]) {
    const once = recipeSchema.parse({ ...base, benchmark });
    expect(recipeSchema.parse(structuredClone(once))).toEqual(once);
  }
});

describe('an option that srtctl does not support', () => {
  it('is reported with its line, once for all points', () => {
    const [variant] = loadText(
      `${small}telemetry: {required: true}\npost_eval: {}\nsweep: {n: [1, 2]}\n`.replace(
        'name: small',
        'name: small-{n}',
      ),
    );
    expect(
      variant
        ? warningsOf(variant, { mock: false, containers: true }).map((line) =>
            line.replace(/^.*recipe\.yaml/, ''),
          )
        : [],
    ).toEqual([
      ':18: telemetry.required: not done by srtctl yet: a run does not fail when nothing could be recorded',
      ':19: post_eval: has no effect: post_eval.type names no evaluation',
      ':20: sweep.n: no setting depends on {n}, so 1 of 2 points repeat another one',
    ]);
  });

  const refused = (dynamo: string, mock = false): string[] => {
    const [variant] = loadText(`${small.replace('  type: sglang\n', '  type: dynamo\n')}dynamo: ${dynamo}\n`);
    return variant
      ? warningsOf(variant, { mock, containers: true }).map((line) => line.replace(/^.*:\d+: /, ''))
      : [];
  };

  it('is reported when Dynamo refuses it', () => {
    expect(refused('{request_plane: http, version: 1.6.0}')).toEqual([
      'dynamo.request_plane: Dynamo 1.6.0 has no request plane "http", and its frontend and workers end at once: write tcp or nats',
    ]);
  });

  it('of a Dynamo without a version is reported with the assumed release', () => {
    expect(refused('{install: false, request_plane: http}')).toEqual([
      expect.stringContaining('Dynamo 1.6.1, should that be'),
    ]);
  });

  it('is not reported for releases with unknown options, and for stand-ins', () => {
    expect(refused('{request_plane: http, version: 0.8.1}')).toEqual([]);
    expect(refused('{request_plane: http}', true)).toEqual([]);
  });
});
