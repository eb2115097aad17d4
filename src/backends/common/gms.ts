import type { RuntimeContext } from '../../model/kinds.ts';
import type { Recipe } from '../../recipe/schema/schema.ts';
import { failoverOf } from '../../recipe/values/failover.ts';

/**
 * The directory in which the engines of a worker and the servers of its weights meet. Without real engines it is the
 * job's own, which goes with the job.
 */
export function gmsDirectory(
  { backend }: Recipe,
  { jobId, tmpDir, realEngines }: RuntimeContext,
  { role, index }: { readonly role: string; readonly index: number },
): string {
  const shared = failoverOf(backend)?.shared_dir ?? '/dev/shm';
  return `${realEngines ? shared : tmpDir}/srtctl-${jobId}/${role}_${index}`;
}
