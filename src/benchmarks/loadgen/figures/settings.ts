import * as z from 'zod';
import { gpusSchema, sloSchema } from '../../../messages/job-directory/serving-result.ts';
import { validitySchema } from '../../../recipe/schema/validity.ts';

/** Where a process of an engine has its metrics. */
const metricsOf = { process: z.string(), host: z.string(), port: z.number().int(), path: z.string() };

/** The part of the load generator's input that says what is computed of its measurements, and when it counts. */
export const figuresShape = {
  /** Engines that report how many prompt tokens came from their caches. */
  caches: z
    .array(
      z.object({
        ...metricsOf,
        hits: z.array(z.string()),
        prompts: z.array(z.string()),
      }),
    )
    .default([]),
  /** Where engines report what their schedulers did. */
  engines: z
    .array(
      z.object({
        ...metricsOf,
        preemptions: z.array(z.string()),
        kvCacheUsage: z.array(z.string()),
        queue: z.array(z.string()),
        speculation: z.object({
          steps: z.array(z.string()),
          tokens: z.array(z.string()),
          drafted: z.array(z.string()),
          hasOwnToken: z.boolean(),
        }),
      }),
    )
    .default([]),
  /** GPUs of the workers; null: unknown, or none. */
  gpus: gpusSchema.nullable().default(null),
  /** What makes a request a good one. */
  slo: sloSchema.default({}),
  /** Limits of valid figures other than the default ones. */
  validity: validitySchema.default({}),
  /** On a machine with other programs, or beside simulated engines, a late client is a warning. */
  place: z.enum(['node', 'local', 'mock']).default('node'),
  /** Largest size of the file with a line for each request, in MiB; 0: none is written. */
  recordsMiB: z.number().min(0).default(64),
};
const figuresSchema = z.object(figuresShape);

/** That part, and what the figures need to know of the load. */
export interface FigureSettings extends z.infer<typeof figuresSchema> {
  readonly isl: number;
  readonly osl: number;
  readonly requestRate: number | 'inf';
  readonly rates?: boolean | undefined;
  readonly seed: number;
  /** Whether /v1/models must list the model by the name in requests, and answers have to give it. */
  readonly mustList: boolean;
  readonly stopWhenInvalid: boolean;
  readonly resultDir: string;
}
