import * as z from 'zod';
import { parseJson } from '../common/parse-json.ts';
import type { Settings } from './settings.ts';

/**
 * sglang.test.run_eval, as run_eval.py and simple_eval_common.py of SGLang 0.5.8 to 0.5.23 are. It writes its result to
 * /tmp, names the file in a line, and counts a question without an answer as a wrong one.
 */

interface Options
  extends Pick<Settings, 'api' | 'tasks' | 'examples' | 'shots' | 'tokens' | 'threads' | 'repeats'> {
  /** Without `/v1`. */
  readonly url: string;
  readonly model: string;
  readonly temperature?: number | null | undefined;
  readonly topP?: number | null | undefined;
  readonly topK?: number | null | undefined;
  readonly maxContextLength?: number | null | undefined;
  readonly categories?: readonly string[] | null | undefined;
  readonly dataset?: string | null | undefined;
}

/** Its whole command line. */
export function runEvalArgv(options: Options): string[] {
  const { url, model, tasks, api, examples, shots, tokens, threads, repeats } = options;
  const task = tasks[0] ?? '';
  const option = (name: string, value: number | string | null | undefined): string[] =>
    value == null ? [] : [`--${name}`, String(value)];
  return [
    ...['python3', '-m', 'sglang.test.run_eval'],
    ...['--base-url', url, '--model', model, '--eval-name', task],
    // chat is the default, and releases before 0.5.10 do not know the option.
    ...(api === 'completion' ? ['--api', 'completion'] : []),
    ...option('num-examples', examples),
    ...option('num-threads', threads),
    ...option('max-tokens', tokens),
    ...option('num-shots', task === 'gsm8k' ? shots : null),
    ...(repeats > 1 ? option('repeat', repeats) : []),
    ...option('temperature', options.temperature),
    ...option('top-p', options.topP),
    ...option('top-k', options.topK),
    ...option('max-context-length', options.maxContextLength),
    ...option('categories', options.categories?.join(',')),
    ...option(task === 'gsm8k' ? 'gsm8k-data-path' : 'dataset-path', options.dataset),
  ];
}

/** What its output says: where its files are, and how many requests got no answer. */
export class RunEvalOutput {
  resultFile: string | undefined;
  reportFile: string | undefined;
  errors = 0;
  /** As printed, with three digits. */
  latency: string | undefined;

  readonly line = (text: string): void => {
    this.resultFile = after(text, 'Writing results to ') ?? this.resultFile;
    this.reportFile = after(text, 'Writing report to ') ?? this.reportFile;
    // With repeats: `Mean latency: 1.234 s`.
    this.latency = /^(?:Total|Mean) latency: (\d+\.\d+) s$/.exec(text)?.[1] ?? this.latency;
    if (/^(Bad Request Error|All retry attempts exhausted)/.test(text)) this.errors += 1;
  };
}

const after = (text: string, begin: string): string | undefined =>
  text.startsWith(begin) ? text.slice(begin.length).trim() : undefined;

const resultSchema = z.looseObject({
  /** Of one repeat. */
  score: z.number().optional(),
  /** Of several: each with three digits. */
  scores: z.array(z.coerce.number()).optional(),
  mean_score: z.number().optional(),
  'score:std': z.number().optional(),
  latency: z.number(),
});

/** The figures of its JSON file, or why there are none. `std`: of one repeat's single scores. */
export function readRunEval(text: string):
  | {
      readonly value: {
        readonly score: number;
        readonly repeats: number[];
        readonly std: number | null;
        readonly latency: number;
        readonly others: Record<string, number>;
      };
    }
  | { readonly problem: string } {
  const parsed = parseJson(resultSchema, text);
  if ('problem' in parsed) return parsed;
  const { score, scores, mean_score: mean, 'score:std': std, latency, ...others } = parsed.value;
  const all = mean ?? score;
  if (all === undefined) return { problem: 'it has neither score nor mean_score' };
  const numbers = Object.entries(others).filter(([, value]) => typeof value === 'number');
  return {
    value: {
      score: all,
      repeats: scores ?? [all],
      std: std ?? null,
      latency,
      others: Object.fromEntries(numbers) as Record<string, number>,
    },
  };
}

/** The part of its HTML report that each question has once; what a model says is escaped there. */
export const QUESTION_MARK = '<p>Score: ';
