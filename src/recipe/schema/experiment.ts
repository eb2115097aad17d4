import * as z from 'zod';
import { KILL_SIGNALS } from '../../messages/spec/states.ts';
import { countSchema } from '../values/values.ts';
import { durationSchema } from './duration.ts';

const killSchema = z.strictObject({
  role: z.enum(['prefill', 'decode', 'agg']).describe('mode of the worker'),
  index: countSchema.default(0).describe('which worker of the mode, from 0'),
  rank: countSchema.default(0).describe('which of its processes; 0 is the one that serves requests'),
  at: durationSchema.describe('when: seconds, or as 90s or 1.5m, from the begin of the measured window'),
  signal: z.enum(KILL_SIGNALS).default('KILL').describe('the signal; STOP freezes the process'),
});

export type Kill = z.infer<typeof killSchema>;

/** `experiment`: faults that are made on purpose while requests are measured. */
export const experimentSchema = z.strictObject({
  kill: z.array(killSchema).max(1_000).default([]).describe('workers to kill, each once in each point'),
  accept_restarts: z
    .boolean()
    .nullish()
    .describe(
      'whether figures are valid although a worker started again while they were measured; by default only with kill',
    ),
});

/** Whether the recipe wants that workers start again while figures are measured. */
export const acceptsRestarts = ({
  experiment,
}: {
  readonly experiment?: z.infer<typeof experimentSchema> | null | undefined;
}): boolean => experiment?.accept_restarts ?? (experiment?.kill.length ?? 0) > 0;
