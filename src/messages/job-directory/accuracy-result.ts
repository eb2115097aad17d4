import * as z from 'zod';

/**
 * What an evaluation found on one task. Scores are shares of 1, as the tools print them. null where the tool does not say
 * a figure.
 */
export const accuracyResultSchema = z.object({
  tool: z.enum(['run_eval', 'lm-eval']),
  /** `gsm8k` */
  task: z.string(),
  /** Which of the tool's figures the score is: `score`, `exact_match,flexible-extract`. */
  metric: z.string(),
  /** The mean over all repeats. */
  score: z.number(),
  /** Standard error of one repeat's score over its questions. */
  stderr: z.number().nullable(),
  /** Questions in each repeat. */
  samples: z.number().int().nullable(),
  /** Questions that each repeat should have; null: as many as the data set has. */
  asked: z.number().int().nullable(),
  /** The score of each repeat. */
  repeats: z.array(z.number()),
  /** Standard deviation of the repeats' scores (of the sample: divided by n - 1); null with one repeat. */
  deviation: z.number().nullable(),
  /** Requests without an answer, in all repeats. The tools score such an answer as wrong. */
  errors: z.number().int().nullable(),
  /** Answers that ended at max_tokens, in all repeats. */
  truncated: z.number().int().nullable(),
  /** Seconds of the tool's run, in all repeats. */
  durationS: z.number(),
  /** Other figures of the task, by the tool's names: subjects of mmlu, other metrics. */
  others: z.record(z.string(), z.number()),
});
export type AccuracyResult = z.infer<typeof accuracyResultSchema>;

/** `gsm8k 0.9250` for a line. */
export const scoresText = (all: readonly Pick<AccuracyResult, 'task' | 'score'>[]): string =>
  all.map(({ task, score }) => `${task} ${score.toFixed(4)}`).join(', ');
