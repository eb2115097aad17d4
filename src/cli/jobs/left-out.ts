import type { JobSpec } from '../../messages/job-directory/job-files.ts';
import { leftOutLine } from '../../plan/allocations.ts';
import { loadedVariantSchema } from '../../recipe/variant.ts';

/** The points that a job leaves out because they do not fit, in one line; undefined when it has all. */
export function leftOutOf({ variant }: Pick<JobSpec, 'variant'>): string | undefined {
  const there = variant as { readonly leftOut?: unknown } | null;
  if (there?.leftOut === undefined) return undefined;
  const parsed = loadedVariantSchema.safeParse(variant);
  return parsed.success ? leftOutLine(parsed.data) : undefined;
}
