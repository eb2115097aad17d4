import * as z from 'zod';
import { OUTSIDE_CLIENTS } from '../../../recipe/schema/benchmark.ts';
import type { FigureSettings } from '../figures/settings.ts';
import type { PaceSettings } from '../pace/settings.ts';
import type { RequestSettings } from '../request/settings.ts';
import type { WorkloadSettings } from '../workload/settings.ts';

/** Another program that measures in place of the load generator: a part of its input. */
export const outsideSchema = z.object({
  name: z.enum(OUTSIDE_CLIENTS),
  /** Further options of aiperf, as arguments. */
  args: z.array(z.string()).default([]),
});
export type OutsideClient = z.infer<typeof outsideSchema>;
export type OutsideName = OutsideClient['name'];

/** What another client is asked to do. */
export type OutsideAsked = WorkloadSettings & PaceSettings & RequestSettings & FigureSettings;
