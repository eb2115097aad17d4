import { sglangIn } from '../../engine-options/releases.ts';
import type { Finding, Way } from '../../model/checks.ts';
import type { EVALUATIONS } from '../../recipe/schema/benchmarks/accuracy.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import { atLeast } from './release.ts';

/** The types of accuracy benchmarks that a recipe may name. */
export type AccuracyType = (typeof EVALUATIONS)[number];

type Tool = 'run_eval' | 'lm-eval';
type Api = 'chat' | 'completion';

interface Kind {
  /** Names of the evaluation; without one the tool has none for this type. */
  readonly names: Partial<Record<Tool, string>>;
  readonly api: Readonly<Record<Tool, Api>>;
  /** The defaults of srt-slurm 2.x at c88ef731 (src/srtctl/benchmarks/*.py). null: the tool's own. */
  readonly defaults: {
    readonly examples: number | null;
    readonly shots: number | null;
    readonly tokens: Readonly<Record<Tool, number | null>>;
    readonly threads: number;
    readonly repeats: number;
  };
  /** Releases of SGLang whose run_eval has this evaluation: the first one, and the first one without it. */
  readonly since?: string;
  readonly until?: string;
}

/**
 * SGLang's releases: run_eval.py of the wheels 0.5.5 to 0.5.23 on PyPI. From 0.5.19 on gpqa and mmlu are scored by a
 * program of its own (sgl-eval), which leaves no file that tells of single questions; from 0.5.21 on run_eval refuses them.
 * lm-eval's names: lm_eval/tasks of 0.4.13.
 */
export const KINDS: Readonly<Record<AccuracyType, Kind>> = {
  gsm8k: {
    names: { run_eval: 'gsm8k', 'lm-eval': 'gsm8k' },
    api: { run_eval: 'chat', 'lm-eval': 'completion' },
    defaults: {
      ...{ examples: 1319, shots: 5, threads: 512, repeats: 1 },
      tokens: { run_eval: 16_384, 'lm-eval': 256 },
    },
    since: '0.5.8',
  },
  'gsm8k-bench': {
    names: { run_eval: 'gsm8k', 'lm-eval': 'gsm8k' },
    api: { run_eval: 'completion', 'lm-eval': 'completion' },
    defaults: {
      ...{ examples: 1319, shots: 5, threads: 512, repeats: 1 },
      tokens: { run_eval: 512, 'lm-eval': 512 },
    },
    since: '0.5.10',
  },
  gpqa: {
    names: { run_eval: 'gpqa', 'lm-eval': 'gpqa_diamond_cot_zeroshot' },
    api: { run_eval: 'chat', 'lm-eval': 'chat' },
    defaults: {
      ...{ examples: 198, shots: null, threads: 128, repeats: 8 },
      tokens: { run_eval: 32_768, 'lm-eval': 32_768 },
    },
    until: '0.5.19',
  },
  mmlu: {
    names: { run_eval: 'mmlu', 'lm-eval': 'mmlu_generative' },
    api: { run_eval: 'chat', 'lm-eval': 'chat' },
    defaults: {
      ...{ examples: 200, shots: null, threads: 512, repeats: 8 },
      tokens: { run_eval: 2_048, 'lm-eval': 2_048 },
    },
    until: '0.5.19',
  },
  longbenchv2: {
    names: { run_eval: 'longbench_v2' },
    api: { run_eval: 'chat', 'lm-eval': 'chat' },
    defaults: {
      ...{ examples: null, shots: null, threads: 16, repeats: 1 },
      tokens: { run_eval: 16_384, 'lm-eval': null },
    },
    until: '0.5.19',
  },
  'lm-eval': {
    names: { 'lm-eval': 'gsm8k' },
    api: { run_eval: 'chat', 'lm-eval': 'completion' },
    defaults: {
      ...{ examples: null, shots: null, threads: 256, repeats: 1 },
      tokens: { run_eval: null, 'lm-eval': null },
    },
  },
};

/** What a recipe asks of an evaluation, with all defaults. */
export interface Settings {
  readonly tool: Tool;
  readonly api: Api;
  readonly tasks: readonly string[];
  /** Questions; of lm-eval: of each task that has some. */
  readonly examples: number | null;
  readonly shots: number | null;
  readonly tokens: number | null;
  readonly threads: number;
  readonly repeats: number;
}

export function settingsOf(type: AccuracyType, { benchmark, backend }: Recipe): Settings {
  const { names, api, defaults } = KINDS[type];
  const own = benchmark.accuracy;
  const byEngine: Tool = backend.type === 'sglang' || names['lm-eval'] === undefined ? 'run_eval' : 'lm-eval';
  const tool = own?.tool ?? (names.run_eval === undefined ? 'lm-eval' : byEngine);
  const examples = benchmark.num_examples ?? defaults.examples;
  return {
    tool,
    api: own?.api ?? api[tool],
    tasks: (tool === 'lm-eval' && own?.tasks) || [names[tool] ?? type],
    examples: type === 'mmlu' && tool === 'lm-eval' && !own?.tasks ? perSubject(examples) : examples,
    shots: benchmark.num_shots ?? defaults.shots,
    tokens: benchmark.max_tokens ?? defaults.tokens[tool],
    threads: benchmark.num_threads ?? defaults.threads,
    repeats: benchmark.repeat ?? defaults.repeats,
  };
}

/** Subjects of mmlu: lm-eval's limit counts for each, and run_eval's for all. */
const SUBJECTS = 57;

const perSubject = (examples: number | null): number | null =>
  examples === null ? null : Math.ceil(examples / SUBJECTS);

/** What the tool cannot do with this recipe. */
export function problemsOf(type: AccuracyType, recipe: Recipe, { mock }: Pick<Way, 'mock'>): Finding[] {
  const { benchmark, backend, model } = recipe;
  const { tool, api } = settingsOf(type, recipe);
  const { names, since, until } = KINDS[type];
  const at = (text: string, hint?: string, ...path: string[]): Finding => ({
    path: ['benchmark', ...(path.length > 0 ? path : ['type'])],
    text,
    ...(hint === undefined ? {} : { hint }),
  });
  if (names[tool] === undefined)
    return [at(`${tool} has no evaluation ${type}`, undefined, 'accuracy', 'tool')];
  const found: Finding[] = [];
  if (tool === 'lm-eval') {
    if (benchmark.dataset_path != null)
      found.push(
        at(
          'is a file for run_eval; lm-eval reads the data of its tasks from the cache of Hugging Face',
          'accuracy.include_path names a directory with tasks of your own, which may read local files',
          'dataset_path',
        ),
      );
    return found;
  }
  for (const key of ['tasks', 'include_path', 'metric'] as const)
    if (benchmark.accuracy?.[key] != null)
      found.push(
        at(
          'is for lm-eval, and run_eval evaluates this benchmark',
          'accuracy.tool: lm-eval',
          'accuracy',
          key,
        ),
      );
  if (benchmark.dataset_path != null && !takesData(type))
    found.push(at(`run_eval takes no data set of your own for ${type}`, undefined, 'dataset_path'));
  // Stand-ins need no image.
  if (mock) return found;
  const image = benchmark.container_image ?? (backend.type === 'sglang' ? model.container : null);
  if (backend.type !== 'sglang' && benchmark.container_image == null && benchmark.accuracy?.tool == null)
    found.push(
      at(
        `${type} is evaluated by sglang.test.run_eval, which an image of ${backend.type} does not have`,
        'benchmark.container_image names an image of SGLang for the benchmark alone',
      ),
    );
  const release = image == null ? undefined : sglangIn(image);
  if (release === undefined) return found;
  const other = names['lm-eval'] === undefined ? '' : ', or accuracy.tool: lm-eval';
  const hint = `benchmark.container_image names another image of SGLang for the benchmark alone${other}`;
  const needs = api === 'completion' ? latest(since, '0.5.10') : since;
  if (needs !== undefined && !atLeast(release, needs))
    found.push(at(`needs SGLang ${needs} or later, and the image has ${release}`, hint));
  if (until !== undefined && atLeast(release, until))
    found.push(
      at(`run_eval has no evaluation ${type} from SGLang ${until} on, and the image has ${release}`, hint),
    );
  if (benchmark.top_k != null && !atLeast(release, '0.5.9'))
    found.push(
      at(`run_eval has no --top-k before SGLang 0.5.9, and the image has ${release}`, undefined, 'top_k'),
    );
  return found;
}

/** Whether run_eval takes a data set for it: --gsm8k-data-path, --dataset-path. */
export const takesData = (type: AccuracyType): boolean => type.startsWith('gsm8k') || type === 'longbenchv2';

const latest = (a: string | undefined, b: string): string => (a !== undefined && atLeast(a, b) ? a : b);
