import { describe, expect, it } from 'vitest';
import { SrtctlError } from '../../src/os/errors.ts';
import { parseEdits } from '../../src/recipe/load.ts';
import { migrate } from '../../src/recipe/migrate/migrate.ts';
import { resolveOverrides } from '../../src/recipe/resolve-override.ts';
import { loadText, small } from './write.ts';

const load = (text: string, ...options: string[]) => loadText(text, { edits: parseEdits(options) });
const recipeOf = (...options: string[]) => load(small, ...options)[0]?.points[0]?.recipe;

function refusal(...options: string[]): string[] {
  try {
    load(small, ...options);
  } catch (error) {
    if (error instanceof SrtctlError)
      return error.lines().map((line) => line.replace(/^.*recipe\.yaml/, 'r'));
    throw error;
  }
  throw new Error('the options were taken');
}

describe('--set', () => {
  it('sets a value of the type that YAML gives it', () => {
    const recipe = recipeOf(
      '--set health_check.max_attempts=720',
      '--set benchmark.concurrencies=[1, 2]',
      '--set enable_config_dump=false',
      '--set benchmark.dataset_name="720"',
      '--set model.path=/a=b',
    );
    expect(recipe).toMatchObject({
      health_check: { max_attempts: 720 },
      benchmark: { concurrencies: [1, 2], dataset_name: '720' },
      enable_config_dump: false,
      model: { path: '/a=b' },
    });
  });

  it('takes maps, comments and what is not YAML as text', () => {
    const texts = ['{a: 1}', 'a: 1', 'x # y', '*x', '[1', '%x'];
    for (const text of texts) {
      const recipe = recipeOf(`--set environment.X=${text}`);
      expect(recipe?.environment).toEqual({ X: text });
    }
  });

  it('keeps the point of a float that becomes an option', () => {
    const recipe = recipeOf('--set backend.sglang_config.prefill.mem-fraction-static=1.0');
    expect(recipe?.backend).toMatchObject({ sglang_config: { prefill: { 'mem-fraction-static': '1.0' } } });
  });

  describe('a float without a fraction', () => {
    const second = (engine: string, roles: string) => `schema: 2
name: floats
model: {path: /models/m, container: repo/image:1, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 8}
${engine}
roles: ${roles}
frontend: {type: dynamo, enable_multiple_frontends: false}
benchmark: {type: manual}
`;
    const agg = (engine: string, ...options: string[]) =>
      load(second(`engine: ${engine}`, '{agg: {nodes: 1, workers: 1}}'), ...options)[0]?.points[0]?.recipe
        .backend;
    const option = '--set roles.agg.args.fraction=1.0';

    it('is text for an engine that gets it on its command line', () => {
      expect(agg('sglang', option)).toMatchObject({ sglang_config: { aggregated: { fraction: '1.0' } } });
    });

    it('is a number for an engine that reads a file', () => {
      const expected = { trtllm_config: { aggregated: { fraction: 1 } } };
      expect(agg('trtllm', option)).toMatchObject(expected);
      expect(agg('{type: trtllm}', option)).toMatchObject(expected);
      expect(agg('sglang', '--set engine=trtllm', option)).toMatchObject(expected);
      const text = small.replace('  sglang_config:', '  type: trtllm\n  trtllm_config:');
      const [first] = load(
        text.replace('type: sglang', 'type: dynamo'),
        '--set backend.trtllm_config.prefill.fraction=1.0',
      );
      expect(first?.points[0]?.recipe.backend).toMatchObject({ trtllm_config: { prefill: { fraction: 1 } } });
    });

    it('is as the engine of its own role needs it', () => {
      const roles = `
  prefill: {nodes: 1, workers: 1, engine: trtllm, args: {fraction: 1.0}}
  decode: {nodes: 1, workers: 1, engine: vllm, args: {fraction: 1.0}}`;
      const recipes = load(
        second('', roles),
        '--set roles.prefill.args.other=2.0',
        '--set roles.decode.args.other=2.0',
      );
      const recipe = recipes[0]?.points[0]?.recipe;
      expect(recipe?.roles?.prefill?.engine).toMatchObject({
        trtllm_config: { prefill: { fraction: 1, other: 2 } },
      });
      expect(recipe?.backend).toMatchObject({ vllm_config: { decode: { fraction: '1.0', other: '2.0' } } });
    });

    it('is a number in a map that becomes JSON', () => {
      const config = '{speculative-config: {ratio: 1.0, list: [2.0]}, fraction: 3.0}';
      const [variant] = load(
        second('engine: vllm', `{agg: {nodes: 1, workers: 1, args: ${config}}}`),
        '--set roles.agg.args.compilation-config.ratio=1.0',
      );
      expect(variant?.points[0]?.recipe.backend).toMatchObject({
        vllm_config: {
          aggregated: {
            'speculative-config': { ratio: 1, list: [2] },
            'compilation-config': { ratio: 1 },
            fraction: '3.0',
          },
        },
      });
    });
  });

  it('sets keys with dots and quotes, below free maps and in lists', () => {
    const recipe = recipeOf(
      `--set backend.sglang_config.prefill."a.b"=1`,
      `--set backend.sglang_config.prefill.'it''s=x'=2`,
      '--set extra_mount.0=/a:/b',
      '--set extra_mount[1]=/c:/d',
    );
    expect(recipe?.backend).toMatchObject({ sglang_config: { prefill: { 'a.b': 1, "it's=x": 2 } } });
    expect(recipe?.extra_mount).toEqual(['/a:/b', '/c:/d']);
  });

  it('applies to base and to each variant, over what an override says', () => {
    const text = `base:\n${small.replaceAll(/^/gm, '  ')}\noverride_a: {benchmark: {isl: 1}}\nzip_override_b: {benchmark: {isl: [2, 3]}}\n`;
    const variants = load(text, '--set benchmark.isl=64');
    expect(variants.map(({ points }) => points[0]?.recipe.benchmark.isl)).toEqual([64, 64, 64]);
    expect(variants[0]?.edits).toEqual(['--set benchmark.isl=64']);
  });

  it('sets parameters of a sweep, and placeholders', () => {
    const [variant] = load(small, '--set sweep.n=[16, 32]', '--set benchmark.isl={n}');
    expect(variant?.points.map(({ recipe }) => recipe.benchmark.isl)).toEqual([16, 32]);
  });

  it('refuses unknown keys with the nearest known path, all at once', () => {
    expect(
      refusal(
        '--set resources.prefil_nodes=1',
        '--set decode_nodes=2',
        '--set backend.sglang_confg.prefill.x=1',
      ),
    ).toEqual([
      'r: --set resources.prefil_nodes=1: resources.prefil_nodes: unknown key (did you mean "resources.prefill_nodes"?)',
      'r: --set decode_nodes=2: decode_nodes: unknown key (did you mean "resources.decode_nodes"?)',
      'r: --set backend.sglang_confg.prefill.x=1: backend.sglang_confg: unknown key (did you mean "backend.sglang_config.prefill.x"?)',
    ]);
  });

  it('is shown in errors in place of a line', () => {
    expect(refusal('--set resources.gpus_per_node=eight')).toEqual([
      'r: --set resources.gpus_per_node=eight: resources.gpus_per_node: must be a number',
    ]);
  });

  it('refuses a path below a value, and an index beyond the end of a list', () => {
    expect(refusal('--set name.x=1')).toEqual([
      'r: --set name.x=1: name is "small" here, and nothing can be below it',
    ]);
    expect(refusal('--set extra_mount.2=/a:/b')).toEqual([
      'r: --set extra_mount.2=/a:/b: extra_mount is a list of 0 here: 0 for a new item',
    ]);
  });

  it('refuses options without a path or a value', () => {
    for (const option of ['--set a', '--set =1', '--set a..b=1', '--unset a=1', '--set ', '--set a."b=1'])
      expect(() => parseEdits([option]), option).toThrow(SrtctlError);
  });
});

describe('--unset', () => {
  it('removes a key, and does nothing where a known key is missing', () => {
    const recipe = recipeOf('--unset frontend.type', '--unset health_check', '--unset extra_mount.0');
    expect(recipe?.frontend.type).toBe('dynamo');
  });

  it('applies in the order of the options', () => {
    const recipe = recipeOf(
      '--unset backend.sglang_config.prefill',
      '--set backend.sglang_config.prefill.x=1',
    );
    expect(recipe?.backend).toMatchObject({ sglang_config: { prefill: { x: 1 } } });
  });

  it('refuses an unknown key, and is shown where the removed key is missing', () => {
    expect(refusal('--unset helth_check')).toEqual([
      'r: --unset helth_check: helth_check: unknown key (did you mean "health_check"?)',
    ]);
    expect(refusal('--unset model.path')).toEqual(['r: --unset model.path: model.path: is missing (text)']);
  });
});

describe('resolve-override with edits', () => {
  it('writes them into the text, whose comments stay', () => {
    const text = '# Head\nname: r # own\nresources: &r {gpus_per_node: 8}\nenvironment: {A: 1}\n';
    const edits = parseEdits([
      '--set resources.gpus_per_node=4',
      '--set environment.B=x',
      '--unset environment.A',
    ]);
    expect(resolveOverrides('r.yaml', text, { edits })[0]?.text).toBe(
      '# Head\nname: r # own\nresources: { gpus_per_node: 4 }\nenvironment: { B: x }\n',
    );
  });
});

describe('edits of a recipe of the second layout', () => {
  const second = migrate('recipe.yaml', small);

  it('are paths of that layout', () => {
    const options = ['--set roles.prefill.args.dist-timeout=1800', '--set roles.decode.workers=2'];
    const recipe = load(
      `${second}services: [{name: a, command: [x], nodes: 1}]\n`,
      ...options,
      '--set services.0.nodes=2',
    )[0]?.points[0]?.recipe;
    expect(recipe?.backend).toMatchObject({ sglang_config: { prefill: { 'dist-timeout': 1800 } } });
    expect(recipe?.resources.decode_workers).toBe(2);
    expect(recipe?.services?.[0]?.nodes).toBe(2);
  });

  it('are refused with the nearest path of that layout', () => {
    const text = (option: string) => {
      try {
        load(second, option);
      } catch (error) {
        if (error instanceof SrtctlError) return error.oneLine();
        throw error;
      }
      throw new Error('the option was taken');
    };
    expect(text('--set prefill.workers=2')).toContain('did you mean "roles.prefill.workers"?');
    expect(text('--set resources.prefill_workers=2')).toContain('resources.prefill_workers: unknown key');
    expect(text('--set roles.prefill.workers=two')).toContain(
      '--set roles.prefill.workers=two: roles.prefill.workers: must be a',
    );
  });
});
