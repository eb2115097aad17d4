import * as z from 'zod';

/** `benchmark.accuracy`: how an evaluation is run, and which score is enough. */
export const accuracySchema = z.strictObject({
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
