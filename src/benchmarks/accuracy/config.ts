import * as z from 'zod';

export const CONFIG_FILE = 'accuracy-config.json';
export const RESULT_FILE = 'accuracy-result.json';
export const PROGRESS_FILE = 'progress.json';
/** What the tools wrote, below the point's directory. */
export const TOOL_DIR = 'accuracy';

/** What `accuracy.js` runs, and what makes its result valid. */
export const accuracyConfigSchema = z.object({
  /** `benchmark.type` */
  type: z.string(),
  tool: z.enum(['run_eval', 'lm-eval']),
  /** For lm-eval several are allowed. */
  tasks: z.array(z.string()).min(1),
  /** The tool's command line for each run. run_eval repeats by itself; lm-eval runs once for each repeat. */
  runs: z.array(z.array(z.string()).min(1)).min(1),
  /** Directory with the output of each run, for lm-eval. */
  outputs: z.array(z.string()),
  repeats: z.number().int().positive(),
  /** Questions of each repeat; null: all of the data set. */
  asked: z.number().int().positive().nullable(),
  /** Examples that run_eval takes from the data set of gsm8k, so that they are no questions. */
  shots: z.number().int().nonnegative(),
  /** A file with a question on each line; null: the tool's own data set. */
  dataFile: z.string().nullable(),
  /** The frontend, without `/v1`. */
  url: z.string(),
  /** Requests at once, for the progress. */
  threads: z.number().int().positive(),
  min: z.number().nullable(),
  metric: z.string().nullable(),
  /** Variable that has the API key; null: the server wants none. */
  apiKeyEnv: z.string().nullable(),
  /** The point's directory. */
  resultDir: z.string(),
});
export type AccuracyConfig = z.infer<typeof accuracyConfigSchema>;
