import * as z from 'zod';
import { positiveSchema } from './values.ts';

/** `failover` of a backend whose workers have standby engines. */
export const failoverSchema = z
  .strictObject({
    shadow_engines: positiveSchema.default(1).describe('standby engines of each worker'),
    shared_dir: z
      .string()
      .regex(/^\/./, 'must be an absolute directory below /')
      .default('/dev/shm')
      .describe('directory on each node that all its containers have'),
    restart: z
      .enum(['always', 'never'])
      .default('always')
      .describe('whether an engine that ends starts again, where its role has no restart of its own'),
    restart_backoff_seconds: z.number().min(0).max(86_400).default(5).describe('seconds before it does'),
  })
  .nullish()
  .describe('standby engines on the GPUs of each worker, which take over when it ends');

/** `failover` of a backend, whichever it is. */
export function failoverOf(backend: object): NonNullable<z.infer<typeof failoverSchema>> | null {
  const parsed = failoverSchema.safeParse('failover' in backend ? backend.failover : null);
  return parsed.data ?? null;
}
