import { describe, expect, it } from 'vitest';
import { accuracyConfigSchema } from '../../../src/benchmarks/accuracy/config.ts';
import { evaluationProblems, withEvaluation } from '../../../src/benchmarks/accuracy/post-eval.ts';
import { KINDS } from '../../../src/benchmarks/accuracy/settings.ts';
import type { BenchmarkContext } from '../../../src/benchmarks/common/protocol.ts';
import { benchmarkFor } from '../../../src/benchmarks/index.ts';
import { createRuntimeContext, dryRunInput } from '../../../src/plan/runtime-context.ts';
import { recipeSchema } from '../../../src/recipe/layouts/recipe-schema.ts';
import { clusterConfigSchema } from '../../../src/recipe/schema/cluster.ts';
import type { Recipe } from '../../../src/recipe/schema/schema.ts';

const recipeWith = (benchmark: object, engine = 'sglang', container = 'image.sqsh'): Recipe =>
  recipeSchema.parse({
    name: 'test',
    model: { path: '/models/some', container, precision: 'fp8' },
    resources: { gpu_type: 'h100', gpus_per_node: 8, agg_nodes: 1, agg_workers: 1 },
    backend: { type: engine },
    benchmark,
  });

function planned(recipe: Recipe, entry: Partial<BenchmarkContext['entry']> = {}) {
  const input = dryRunInput(['n1'], clusterConfigSchema.parse({}));
  const plan = benchmarkFor(recipe.benchmark.type)?.plan({
    recipe,
    runtime: createRuntimeContext(input).forRecipe(recipe),
    roles: { head: 'n1', infra: 'n1', bench: 'n1', workers: ['n1'], pools: {} },
    processes: [],
    entry: {
      ...{ node: 'n1', port: 8_000, takesTokenIds: true, model: { name: 'org/some', isGiven: true } },
      ...entry,
    },
    pointDir: '/job/points/00-all',
    ordinal: 0,
    services: [],
    rest: [],
  });
  const [file] = plan?.process?.files ?? [];
  return {
    plan,
    process: plan?.process,
    config: accuracyConfigSchema.parse(JSON.parse(file?.content ?? '')),
  };
}

const configOf = (benchmark: object, engine?: string) => planned(recipeWith(benchmark, engine)).config;

const refusals = (benchmark: object, engine?: string, container?: string, mock = false): string[] =>
  (
    benchmarkFor((benchmark as { type: string }).type)?.cannotRun?.(
      recipeWith(benchmark, engine, container),
      {
        ...{ mock, containers: true },
      },
    ) ?? []
  ).map(({ path, text }) => `${path.join('.')}: ${text}`);

describe('an accuracy benchmark', () => {
  it('runs sglang.test.run_eval for SGLang, with the values of the recipe', () => {
    const { runs, asked, shots } = configOf({
      ...{ type: 'gsm8k', num_examples: 100, max_tokens: 16_000, num_threads: 128, num_shots: 8 },
      ...{ temperature: 0.6, top_p: 0.95, top_k: 20 },
    });
    expect(runs).toEqual([
      [
        ...[
          'python3',
          '-m',
          'sglang.test.run_eval',
          '--base-url',
          'http://10.0.0.1:8000',
          '--model',
          'org/some',
        ],
        ...['--eval-name', 'gsm8k', '--num-examples', '100', '--num-threads', '128', '--max-tokens', '16000'],
        ...['--num-shots', '8', '--temperature', '0.6', '--top-p', '0.95', '--top-k', '20'],
      ],
    ]);
    expect({ asked, shots }).toEqual({ asked: 100, shots: 8 });
  });

  it.each([
    ['gsm8k', '--eval-name gsm8k --num-examples 1319 --num-threads 512 --max-tokens 16384 --num-shots 5'],
    [
      'gsm8k-bench',
      '--eval-name gsm8k --api completion --num-examples 1319 --num-threads 512 --max-tokens 512 --num-shots 5',
    ],
    ['gpqa', '--eval-name gpqa --num-examples 198 --num-threads 128 --max-tokens 32768 --repeat 8'],
    ['mmlu', '--eval-name mmlu --num-examples 200 --num-threads 512 --max-tokens 2048 --repeat 8'],
    [
      'longbenchv2',
      '--eval-name longbench_v2 --num-threads 16 --max-tokens 16384 --max-context-length 128000',
    ],
  ])('of type %s has the defaults of srt-slurm', (type, options) => {
    expect(configOf({ type }).runs.map((argv) => argv.slice(7).join(' '))).toEqual([options]);
  });

  it('gives categories and a data set to longbenchv2, and a file of questions to gsm8k', () => {
    const [long = []] = configOf({
      type: 'longbenchv2',
      categories: ['a b', 'c'],
      dataset_path: '/data/l',
    }).runs;
    expect(long.slice(-4)).toEqual(['--categories', 'a b,c', '--dataset-path', '/data/l']);
    const { runs, dataFile } = configOf({ type: 'gsm8k', dataset_path: '/data/g.jsonl' });
    expect(runs[0]?.slice(-2)).toEqual(['--gsm8k-data-path', '/data/g.jsonl']);
    expect(dataFile).toBe('/data/g.jsonl');
  });

  it('runs lm-eval for other engines, once for each repeat, each with a seed and a directory of its own', () => {
    const { runs, outputs, tool } = configOf({ type: 'gsm8k', num_examples: 50, repeat: 2 }, 'vllm');
    expect(tool).toBe('lm-eval');
    expect(outputs).toEqual(['/job/points/00-all/accuracy/repeat-1', '/job/points/00-all/accuracy/repeat-2']);
    const [first = [], second = []] = runs;
    const value = (argv: readonly string[], name: string): string => argv[argv.indexOf(name) + 1] ?? '';
    expect(JSON.parse(value(first, '--model_args'))).toMatchObject({
      ...{ model: 'org/some', base_url: 'http://10.0.0.1:8000/v1/completions', num_concurrent: 512 },
      ...{ tokenizer_backend: 'none', tokenized_requests: false, seed: 1_234 },
    });
    expect(JSON.parse(value(second, '--model_args'))).toMatchObject({ seed: 1_235 });
    expect(JSON.parse(value(first, '--gen_kwargs'))).toEqual({ max_gen_toks: 256 });
    expect(first.join(' ')).toMatch(
      /^python3 -m lm_eval --model local-completions .* --tasks gsm8k --num_fewshot 5 --limit 50 /,
    );
  });

  it('divides the questions of mmlu among its subjects, because the limit of lm-eval counts for each', () => {
    const { runs, asked } = configOf({ type: 'mmlu' }, 'vllm');
    expect(asked).toBe(4);
    expect(runs[0]?.join(' ')).toMatch(/--tasks mmlu_generative --apply_chat_template --limit 4 /);
  });

  it('asks /v1/chat/completions where there is no other address', () => {
    const { config } = planned(recipeWith({ type: 'gsm8k' }, 'vllm'), { chatAlone: true });
    expect(config.runs[0]).toContain('local-chat-completions');
    expect(config.runs[0]).toContain('--apply_chat_template');
  });

  it('of type lm-eval has tasks of its own and a directory with them', () => {
    const accuracy = { tasks: ['aime25', 'mine'], include_path: '/tasks', api: 'chat', min: 0.4 };
    const { tasks, runs, min } = configOf({ type: 'lm-eval', accuracy });
    expect({ tasks, min }).toEqual({ tasks: ['aime25', 'mine'], min: 0.4 });
    expect(runs[0]?.join(' ')).toMatch(/--tasks aime25,mine --apply_chat_template .*--include_path \/tasks/);
  });

  it('has a step before engines that looks for its tool and its files', () => {
    const { plan } = planned(recipeWith({ type: 'gsm8k', dataset_path: '/data/g.jsonl' }));
    const [step] = plan?.before ?? [];
    expect(step).toMatchObject({ id: 'check-benchmark', role: 'step', phase: 'before_workers' });
    expect(step?.argv.slice(1, 3)).toEqual([expect.stringMatching(/accuracy\.js$/), '--check']);
    expect(JSON.parse(step?.argv[3] ?? '')).toEqual({
      ...{ tool: 'run_eval', tasks: ['gsm8k'], api: 'chat', paths: ['/data/g.jsonl'] },
    });
  });

  it('is patient with a tool that is silent while the longest answer is written', () => {
    const short = planned(recipeWith({ type: 'gpqa', max_tokens: 10 })).process?.progress?.hungAfterMs ?? 0;
    const long =
      planned(recipeWith({ type: 'gpqa', max_tokens: 65_536 })).process?.progress?.hungAfterMs ?? 0;
    expect(long - short).toBe(6_552_600);
  });

  it('is refused where the release of SGLang has no such evaluation, before anything starts', () => {
    const image = (release: string) => `lmsysorg/sglang:v${release}`;
    expect(refusals({ type: 'gpqa' }, 'sglang', image('0.5.23'))).toEqual([
      'benchmark.type: run_eval has no evaluation gpqa from SGLang 0.5.19 on, and the image has 0.5.23',
    ]);
    expect(refusals({ type: 'gsm8k' }, 'sglang', image('0.5.7'))).toEqual([
      'benchmark.type: needs SGLang 0.5.8 or later, and the image has 0.5.7',
    ]);
    expect(refusals({ type: 'gsm8k-bench' }, 'sglang', image('0.5.9.post1'))).toEqual([
      'benchmark.type: needs SGLang 0.5.10 or later, and the image has 0.5.9.post1',
    ]);
    expect(refusals({ type: 'gpqa' }, 'sglang', image('0.5.10'))).toEqual([]);
    expect(refusals({ type: 'gpqa' }, 'sglang', 'dev')).toEqual([]);
    expect(refusals({ type: 'gpqa' }, 'sglang', image('0.5.23'), true)).toEqual([]);
    expect(refusals({ type: 'gpqa', accuracy: { tool: 'lm-eval' } }, 'sglang', image('0.5.23'))).toEqual([]);
  });

  it('is refused where no tool has it, or where the tool does not take a value', () => {
    expect(refusals({ type: 'longbenchv2' }, 'vllm')).toEqual([
      'benchmark.type: longbenchv2 is evaluated by sglang.test.run_eval, which an image of vllm does not have',
    ]);
    expect(refusals({ type: 'longbenchv2', container_image: 'lmsysorg/sglang:v0.5.10' }, 'vllm')).toEqual([]);
    expect(refusals({ type: 'lm-eval', accuracy: { tool: 'run_eval' } })).toEqual([
      'benchmark.accuracy.tool: run_eval has no evaluation lm-eval',
    ]);
    expect(refusals({ type: 'mmlu', dataset_path: '/d' })).toEqual([
      'benchmark.dataset_path: run_eval takes no data set of your own for mmlu',
    ]);
    expect(refusals({ type: 'gsm8k', accuracy: { tasks: ['a'] } })).toEqual([
      'benchmark.accuracy.tasks: is for lm-eval, and run_eval evaluates this benchmark',
    ]);
  });

  it('fails a script where its result is not valid', () => {
    for (const type of Object.keys(KINDS))
      expect(benchmarkFor(type)?.judged?.(['node'], { lossy: false })).toEqual(['node', '--judge']);
  });
});

describe('an evaluation after a benchmark', () => {
  const asked = { type: 'gsm8k', num_examples: 20, accuracy: { min: 0.5 } };
  const context = (benchmark: object, post: object = asked): BenchmarkContext => {
    const recipe = { ...recipeWith(benchmark), post_eval: recipeSchema.shape.post_eval.parse(post) };
    const input = dryRunInput(['n1'], clusterConfigSchema.parse({}));
    return {
      recipe,
      runtime: createRuntimeContext(input).forRecipe(recipe),
      roles: { head: 'n1', infra: 'n1', bench: 'n1', workers: ['n1'], pools: {} },
      ...{ processes: [], services: [], rest: [], pointDir: '/job/points/00-all', ordinal: 0 },
      entry: { node: 'n1', port: 8_000, takesTokenIds: true, model: { name: 'some', isGiven: true } },
    };
  };
  const custom = { type: 'custom', command: 'true', env: { A: '1' } };

  it('follows it in the same process, with its own files and its own step before engines', () => {
    const here = context(custom);
    const plan = benchmarkFor('custom')?.plan(here);
    if (!plan) throw new Error('no plan');
    const { process, evaluation, before, resultDir } = withEvaluation(plan, here);
    expect({ evaluation, resultDir }).toEqual({ evaluation: 'gsm8k', resultDir: '/job/points/00-all' });
    expect(process?.argv.slice(-2)).toEqual(['--after', JSON.stringify(plan.process?.argv)]);
    expect(process?.env).toMatchObject({ A: '1' });
    expect(before?.map(({ id }) => id)).toEqual(['check-benchmark']);
    const config = accuracyConfigSchema.parse(JSON.parse(process?.files?.at(-1)?.content ?? ''));
    expect(config).toMatchObject({ type: 'gsm8k', asked: 20, min: 0.5 });
  });

  it('is none without its type', () => {
    const here = context(custom, {});
    const plan = benchmarkFor('custom')?.plan(here);
    expect(plan && withEvaluation(plan, here)).toBe(plan);
  });

  it('is refused where it can follow nothing, or its tool cannot do it', () => {
    const problems = (benchmark: object, post?: object): string[] =>
      evaluationProblems(context(benchmark, post).recipe, { mock: false, containers: true }).map(
        ({ path, text }) => `${path.join('.')}: ${text}`,
      );
    expect(problems(custom)).toEqual([]);
    expect(problems({ type: 'manual' })).toEqual([
      'post_eval.type: a manual benchmark has no end that it could follow',
    ]);
    expect(problems({ type: 'gpqa' })).toEqual([
      'post_eval.type: the benchmark gpqa is an evaluation itself',
    ]);
    expect(problems(custom, { type: 'gsm8k', accuracy: { tasks: ['a'] } })).toEqual([
      'post_eval.accuracy.tasks: is for lm-eval, and run_eval evaluates this benchmark',
    ]);
  });
});
