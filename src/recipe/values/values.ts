import * as z from 'zod';

/**
 * An environment variable's value. Recipes also use numbers and booleans. The reference implementation spells a boolean
 * as Python does, and recipes rely on that.
 */
export const envValueSchema = z
  .union([z.string(), z.number(), z.boolean()])
  .transform((value) => (typeof value === 'boolean' ? (value ? 'True' : 'False') : String(value)));

/** Names that every shell accepts: the "portable" ones of POSIX.1-2017, Base Definitions 8.1. */
const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Environment variables by name; an empty section has none. */
export const envSchema = z
  .record(z.string(), envValueSchema)
  .superRefine((env, context) => {
    for (const name of Object.keys(env))
      if (!ENV_NAME.test(name))
        context.addIssue({
          code: 'custom',
          path: [name],
          message:
            'is no name of an environment variable: letters, digits and underscores, and no digit at its start',
        });
  })
  .nullish()
  .transform((env) => env ?? {});

/**
 * Text for a batch script, an option of sbatch(1) or a name. A control character in it would begin a line, end a string
 * in C, or write to a terminal.
 */
export const lineSchema = z.string().refine((text) => !/\p{Cc}/u.test(text), {
  message: 'has a line break or another control character in it; it must be one line of text',
});

/** A name of an option of sbatch(1) and srun(1), without the leading dashes. */
const OPTION_NAME = /^[A-Za-z][A-Za-z0-9-]*$/;

export const countSchema = z.number().int().min(0);
export const positiveSchema = z.number().int().positive();

/** Options of sbatch or srun by name; true is an option without a value. */
export const directivesSchema = z
  .record(
    z.string(),
    z
      .union([lineSchema, z.number(), z.literal(true), z.null()])
      .transform((value) => (value === true || value === null ? '' : String(value))),
  )
  .superRefine((options, context) => {
    for (const name of Object.keys(options))
      if (!OPTION_NAME.test(name))
        context.addIssue({
          code: 'custom',
          path: [name],
          message: 'is no name of an option: letters, digits and dashes, without the leading dashes',
        });
  })
  .default({});

/** KV cache events of the workers of one mode. */
export const kvEventsOfModeSchema = z.union([
  z.boolean(),
  z.strictObject({
    publisher: z.string().default('zmq').describe('how events are published'),
    topic: z.string().default('kv-events').describe('topic of the events'),
    replay_endpoint: z
      .string()
      .min(1)
      .optional()
      .describe('where missed events can be asked for; sglang: auto has srtctl choose the port'),
    enable_kv_cache_events: z.boolean().optional().describe('vLLM: whether there are events at all'),
  }),
]);

/** `kv_events_config` of a backend: one setting for all modes, or one for each mode. */
export const kvEventsSchema = z
  .union([
    z.boolean(),
    z.strictObject({
      prefill: kvEventsOfModeSchema.optional().describe('prefill workers'),
      decode: kvEventsOfModeSchema.optional().describe('decode workers'),
      aggregated: kvEventsOfModeSchema.optional().describe('aggregated workers'),
    }),
  ])
  .nullish()
  .describe('whether workers publish KV cache events over ZMQ, for routers that are aware of the cache');

/** `mooncake_kv_store` of a backend. */
export const mooncakeShape = {
  container: z.string().nullish().describe("image of the Mooncake master; by default the workers'"),
  master_extra_args: z.array(z.string()).default([]).describe('further arguments of mooncake_master'),
  env: envSchema.describe('environment of every worker'),
};

/** The three environments of every backend. */
export const environmentsShape = {
  prefill_environment: envSchema.describe('environment of prefill workers'),
  decode_environment: envSchema.describe('environment of decode workers'),
  aggregated_environment: envSchema.describe('environment of aggregated workers'),
};
