import * as z from 'zod';
import { envSchema, flagsSchema } from './values.ts';

const kvEventsOfModeSchema = z.union([
  z.boolean(),
  z.strictObject({
    publisher: z.string().default('zmq'),
    topic: z.string().default('kv-events'),
  }),
]);

/** `backend` of a recipe with `type: sglang`, which is also what a recipe without a type means. */
export const sglangBackendSchema = z.strictObject({
  type: z.literal('sglang').optional().default('sglang'),
  prefill_environment: envSchema.describe('environment of prefill workers'),
  decode_environment: envSchema.describe('environment of decode workers'),
  aggregated_environment: envSchema.describe('environment of aggregated workers'),
  sglang_config: z
    .strictObject({
      prefill: flagsSchema.nullish(),
      decode: flagsSchema.nullish(),
      aggregated: flagsSchema.nullish(),
    })
    .default({})
    .describe('options of the SGLang server by mode, without the leading dashes'),
  kv_events_config: z
    .union([
      z.boolean(),
      z.strictObject({
        prefill: kvEventsOfModeSchema.optional(),
        decode: kvEventsOfModeSchema.optional(),
        aggregated: kvEventsOfModeSchema.optional(),
      }),
    ])
    .optional()
    .describe('whether workers publish KV cache events over ZMQ, for routers that are aware of the cache'),
});
