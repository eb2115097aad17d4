import * as z from 'zod';

/** Data sets that are files, by `dataset_name`. */
export const FILE_DATASETS = ['custom', 'sharegpt'] as const;
export type FileDataset = (typeof FILE_DATASETS)[number];

/** What is sent: a part of the load generator's input. Lengths in tokens. */
export const workloadShape = {
  /**
   * Where requests go; the load generator itself takes the chat endpoint where only the engine can apply the
   * chat template that the recipe wants.
   */
  endpoint: z.enum(['/v1/completions', '/v1/chat/completions']),
  /** Directory of the model, or `org/name` of the hub, to read its tokenizer; null = do not read it. */
  modelPath: z.string().nullable(),
  /** The same of another tokenizer, which must be there; `none`: no tokenizer; null = the model's, if it is there. */
  tokenizer: z.string().nullable().default(null),
  /** true: the model's chat template is around each prompt; null = where it is known here. */
  useChatTemplate: z.boolean().nullable().default(null),
  /** Whether a prompt may be an array of token ids; it is, where there is no tokenizer. */
  takesTokenIds: z.boolean(),
  /** Where prompts come from; `path`: the file of a data set. */
  dataset: z
    .discriminatedUnion('name', [
      z.object({ name: z.literal('random') }),
      z.object({ name: z.enum(FILE_DATASETS), path: z.string() }),
    ])
    .default({ name: 'random' }),
  /** 0 = as the data set has it. */
  isl: z.number().int().nonnegative(),
  osl: z.number().int().nonnegative(),
  /** Lengths are uniform in [ratio × length, length]. */
  randomRangeRatio: z.number().min(0).max(1),
  /** Share of `isl` with which all random prompts begin. */
  sharedPrefixRatio: z.number().min(0).max(1).default(0),
  /** Determines prompts, their lengths and the gaps between them. */
  seed: z.number().int().nonnegative(),
};
const workloadSettingsSchema = z.object(workloadShape);
export type WorkloadSettings = z.infer<typeof workloadSettingsSchema>;
