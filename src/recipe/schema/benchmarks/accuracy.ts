import * as z from 'zod';
import { positiveSchema } from '../../values/values.ts';

/** Benchmarks that are evaluations. */
export const EVALUATIONS = ['gsm8k', 'gsm8k-bench', 'gpqa', 'mmlu', 'longbenchv2', 'lm-eval'] as const;

/** `benchmark.accuracy`: how an evaluation is run, and which score is enough. */
const accuracySchema = z.strictObject({
  min: z
    .number()
    .min(0)
    .max(1)
    .nullish()
    .describe('lowest score, as a share of 1; a point with a lower one has failed'),
  tool: z
    .enum(['run_eval', 'lm-eval'])
    .nullish()
    .describe(
      'what evaluates: sglang.test.run_eval or lm-eval; by default run_eval for SGLang and longbenchv2, else lm-eval',
    ),
  api: z
    .enum(['chat', 'completion'])
    .nullish()
    .describe('whether questions go to /v1/chat/completions or to /v1/completions'),
  tasks: z
    .array(z.string().regex(/^[^\s,]+$/, 'must be the name of a task, without blanks and commas'))
    .min(1)
    .nullish()
    .describe("lm-eval: its tasks; by default the one of the benchmark's type"),
  include_path: z
    .string()
    .min(1)
    .nullish()
    .describe('lm-eval: directory with further tasks, in the container'),
  metric: z
    .string()
    .min(1)
    .nullish()
    .describe('lm-eval: the figure that is the score, as exact_match,strict-match'),
});

/** The keys of an evaluation, in `benchmark` and in `post_eval`. */
export const evaluationShape = {
  num_examples: positiveSchema.nullish().describe('accuracy: how many questions'),
  num_shots: z.number().int().min(0).nullish().describe('accuracy: examples before a question'),
  num_threads: positiveSchema.nullish().describe('accuracy: requests at once'),
  max_tokens: positiveSchema.nullish().describe('accuracy: longest answer in tokens'),
  max_context_length: positiveSchema.nullish().describe('longbenchv2: longest input in tokens'),
  repeat: positiveSchema.nullish().describe('accuracy: how many times'),
  categories: z.array(z.string()).nullish().describe('longbenchv2: which questions'),
  temperature: z.number().min(0).nullish().describe('sampling'),
  top_p: z.number().min(0).max(1).nullish().describe('sampling'),
  top_k: z.number().int().nullish().describe('sampling'),
  accuracy: accuracySchema.nullish().describe('accuracy: the tool, its task, and the lowest score'),
};
