import * as z from 'zod';
import type { Gpus } from '../../messages/job-directory/serving-result.ts';
import { gpusOfWorker } from '../../recipe/values/gpus-of-worker.ts';

const count = z.number().int().nonnegative().nullish();

/** The part of a resolved recipe that says how many GPUs workers use. Recipes of earlier releases have the same keys. */
const resourcesSchema = z.object({
  resources: z.object({
    gpus_per_node: z.number().int().positive(),
    ...{ prefill_nodes: count, prefill_workers: count, gpus_per_prefill: count },
    ...{ decode_nodes: count, decode_workers: count, gpus_per_decode: count },
    ...{ agg_nodes: count, agg_workers: count, gpus_per_agg: count },
  }),
});
type Mode = 'prefill' | 'decode' | 'agg';

/**
 * The GPUs of all workers of a resolved recipe, counted as plans count them;
 * null when it does not say.
 */
export function gpusOf(recipe: unknown): Gpus | null {
  const resources = resourcesSchema.safeParse(recipe).data?.resources;
  if (!resources) return null;
  const of = (mode: Mode): number => (resources[`${mode}_workers`] ?? 0) * gpusOfWorker(mode, resources);
  const [prefill, decode, agg] = [of('prefill'), of('decode'), of('agg')];
  const total = prefill + decode + agg;
  if (total === 0) return null;
  return prefill + decode > 0 ? { total, prefill, decode } : { total, prefill: null, decode: null };
}
