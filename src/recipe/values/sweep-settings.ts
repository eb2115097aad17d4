import * as z from 'zod';
import { timeLimitSchema } from './time-limit.ts';

/**
 * The settings for running the points of a variant. They are in the recipe's `sweep` section, beside the parameters'
 * lists.
 */
export const sweepSettingsSchema = z
  .strictObject({
    order: z
      .enum(['fewest-restarts', 'as-written'])
      .default('fewest-restarts')
      .describe(
        'in which order points run: such that the fewest workers are restarted, or as they are written',
      ),
    allocation: z
      .enum(['shared', 'per-point'])
      .default('shared')
      .describe(
        'one Slurm job for all points (several when their node counts differ by more than a factor of two), or one for each',
      ),
    on_failure: z
      .union([
        z.enum(['continue', 'abort']),
        z.strictObject({
          retry: z.number().int().min(1).max(100).describe('how often a failed point is tried again'),
          pause: z.number().min(0).max(86_400).default(5).describe('seconds before it is tried again'),
        }),
      ])
      .default('continue')
      .describe('after a failed point: go on with the next, end the run, or try it again'),
    skip_misfits: z
      .boolean()
      .default(false)
      .describe('leave points out whose workers do not fit on their nodes, in place of an error'),
    point_time_limit: timeLimitSchema
      .nullish()
      .describe('time limit of one point, in the form of slurm.time_limit'),
  })
  .prefault({});
export type SweepSettings = z.infer<typeof sweepSettingsSchema>;
