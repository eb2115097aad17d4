import * as z from 'zod';

/** When requests are sent: a part of the load generator's input. */
export const paceShape = {
  /** Requests per second; "inf" = as fast as the concurrency allows. */
  requestRate: z.union([z.literal('inf'), z.number().positive()]),
  /** How the gaps between requests of a rate are distributed. */
  arrivals: z.enum(['poisson', 'gamma', 'constant']).default('poisson'),
  /** Shape of gamma's gaps: 1 is Poisson, less comes in bursts, more is even. */
  burstiness: z.number().positive().default(1),
  /** Seconds in which the rate, or without one the concurrency, rises evenly to its value. */
  rampUpS: z.number().nonnegative().default(0),
  /** Seconds in which requests are sent, in place of a number of requests; null = by number. */
  durationS: z.number().positive().nullable().default(null),
};
const paceSchema = z.object(paceShape);
export type PaceSettings = z.infer<typeof paceSchema>;
