import * as z from 'zod';
import { parseJson } from '../common/parse-json.ts';
import type { Settings } from './settings.ts';

/**
 * EleutherAI's lm-evaluation-harness, as lm_eval 0.4.13 on PyPI is (_cli/run.py, models/api_models.py,
 * loggers/evaluation_tracker.py). It ends with an error when a request has failed for good, so each answer of a result was
 * given.
 */

interface Options extends Pick<Settings, 'api' | 'tasks' | 'examples' | 'shots' | 'tokens' | 'threads'> {
  readonly url: string;
  readonly model: string;
  /** A directory or name of the hub; without one, tasks that compare probabilities cannot run. */
  readonly tokenizer: string | null;
  readonly temperature?: number | null | undefined;
  readonly topP?: number | null | undefined;
  readonly topK?: number | null | undefined;
  readonly includePath?: string | null | undefined;
  /** Directory for its files. */
  readonly output: string;
  readonly seed: number;
}

/** As long as run_eval waits for an answer, seconds; lm-eval's own default is 300. */
const ANSWER_S = 3_600;
const RETRIES = 5;

/** Its whole command line. JSON in place of `a=1,b=2`, because a path may have a comma. */
export function lmEvalArgv(options: Options): string[] {
  const { url, model, tokenizer, api, tasks, examples, shots, tokens, threads, seed } = options;
  const chat = api === 'chat';
  const modelArgs = {
    model,
    base_url: `${url}${chat ? '/v1/chat/completions' : '/v1/completions'}`,
    num_concurrent: threads,
    max_retries: RETRIES,
    timeout: ANSWER_S,
    seed,
    ...(tokenizer === null
      ? { tokenizer_backend: 'none', tokenized_requests: false }
      : { tokenizer_backend: 'huggingface', tokenizer, tokenized_requests: false }),
  };
  const sampling = Object.fromEntries(
    Object.entries({
      max_gen_toks: tokens,
      temperature: options.temperature,
      top_p: options.topP,
      top_k: options.topK,
      // Else a task that says do_sample: false contradicts a temperature.
      ...(options.temperature == null ? {} : { do_sample: options.temperature > 0 }),
    }).filter(([, value]) => value != null),
  );
  return [
    ...['python3', '-m', 'lm_eval'],
    ...['--model', chat ? 'local-chat-completions' : 'local-completions'],
    ...['--model_args', JSON.stringify(modelArgs)],
    ...['--tasks', tasks.join(',')],
    ...(chat ? ['--apply_chat_template'] : []),
    ...(shots === null ? [] : ['--num_fewshot', String(shots)]),
    ...(examples === null ? [] : ['--limit', String(examples)]),
    ...(Object.keys(sampling).length > 0 ? ['--gen_kwargs', JSON.stringify(sampling)] : []),
    ...(options.includePath == null ? [] : ['--include_path', options.includePath]),
    ...['--output_path', options.output, '--log_samples'],
  ];
}

/** lm-eval's own seed of a server's random choices; each repeat has the next one. */
export const FIRST_SEED = 1_234;

const resultsSchema = z.looseObject({
  results: z.record(z.string(), z.record(z.string(), z.unknown())),
  /** Of groups, as mmlu: the tasks below each. */
  group_subtasks: z.record(z.string(), z.array(z.string())).optional(),
  'n-samples': z.record(z.string(), z.object({ original: z.number(), effective: z.number() })),
});
type Results = z.infer<typeof resultsSchema>;

export interface TaskFigures {
  readonly task: string;
  readonly metric: string;
  readonly score: number;
  readonly stderr: number | null;
  readonly samples: number;
  /** Questions in the data of each task below it: mmlu has 57. */
  readonly available: readonly number[];
  readonly others: Record<string, number>;
}

/** The figures of each task in its JSON file, or why there are none. */
export function readLmEval(
  text: string,
  tasks: readonly string[],
  metric: string | null,
): { readonly value: TaskFigures[] } | { readonly problem: string } {
  const parsed = parseJson(resultsSchema, text);
  if ('problem' in parsed) return parsed;
  const figures: TaskFigures[] = [];
  for (const task of tasks) {
    const found = figuresOf(parsed.value, task, metric);
    if (typeof found === 'string') return { problem: found };
    figures.push(found);
  }
  return { value: figures };
}

const STDERR = '_stderr';

function figuresOf(all: Results, task: string, wanted: string | null): TaskFigures | string {
  const own = all.results[task];
  if (!own) return `it has no task ${task}, only ${Object.keys(all.results).join(', ')}`;
  const numbers = Object.entries(own).filter((entry): entry is [string, number] => isFigure(entry));
  const metrics = numbers.filter(([name]) => !nameOf(name).endsWith(STDERR));
  const [metric, score] = metrics.find(([name]) => name === (wanted ?? preferred(metrics))) ?? [];
  if (metric === undefined || score === undefined) {
    const known = metrics.map(([name]) => name).join(', ') || 'none';
    return `${task} has no figure ${wanted ?? ''}; its figures: ${known}`;
  }
  const [name, filter = 'none'] = metric.split(',');
  const stderr = own[`${name}${STDERR},${filter}`];
  const leaves = leavesOf(all, task);
  return {
    task,
    metric,
    score,
    stderr: typeof stderr === 'number' ? stderr : null,
    samples: leaves.reduce((sum, leaf) => sum + (all['n-samples'][leaf]?.effective ?? 0), 0),
    available: leaves.map((leaf) => all['n-samples'][leaf]?.original ?? 0),
    others: Object.fromEntries(metrics.filter(([other]) => other !== metric)),
  };
}

/** `acc,none`; not `alias` and `sample_len`. */
const isFigure = ([name, value]: [string, unknown]): boolean =>
  name.includes(',') && typeof value === 'number';

const nameOf = (metric: string): string => metric.split(',')[0] ?? metric;

/** The last number of an answer counts, as in other evaluations of gsm8k; else the first figure. */
const preferred = (metrics: readonly (readonly [string, number])[]): string | undefined =>
  metrics.find(([name]) => name.endsWith(',flexible-extract'))?.[0] ?? metrics[0]?.[0];

/** The tasks with samples of their own at or below a task. */
function leavesOf(all: Results, task: string): string[] {
  const below = all.group_subtasks?.[task] ?? [];
  return below.length === 0 ? [task] : [...new Set(below.flatMap((each) => leavesOf(all, each)))];
}
