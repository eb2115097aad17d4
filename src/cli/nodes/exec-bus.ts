import * as z from 'zod';
import type { Bus } from '../../messages/bus/bus.ts';
import { SrtctlError } from '../../os/errors.ts';
import { isOver, type JobOnDisk } from '../jobs/job-dir.ts';
import { connectOperator } from '../jobs/operator-bus.ts';

const busSchema = z.object({ exec: z.boolean().optional() }).nullish();
const variantSchema = z.object({ points: z.array(z.object({ recipe: z.object({ bus: busSchema }) })) });
const clusterSchema = z.object({ bus: busSchema });

/** Where a job's settings forbid commands on its nodes; undefined where they do not. */
export function forbiddenBy({ spec }: Pick<JobOnDisk, 'spec'>): string | undefined {
  if (clusterSchema.safeParse(spec.cluster).data?.bus?.exec === false) return 'srtslurm.yaml';
  const points = variantSchema.safeParse(spec.variant).data?.points ?? [];
  return points.some(({ recipe }) => recipe.bus?.exec === false) ? 'its recipe' : undefined;
}

/**
 * A connection with the key of the job's owner, for commands on its nodes.
 * @throws SrtctlError when the job has no bus (any more), this user may not read its key, or commands are forbidden
 */
export async function execBus(job: JobOnDisk): Promise<Bus> {
  const { jobId } = job;
  if (await isOver(job)) throw new SrtctlError('no-bus', `job ${jobId} has ended, and its agents with it`);
  const by = forbiddenBy(job);
  if (by !== undefined)
    throw new SrtctlError(
      'exec-forbidden',
      `job ${jobId} runs no commands for srtctl: ${by} says bus.exec: false`,
    );
  const bus = await connectOperator(job, 'exec');
  if (bus) return bus;
  throw new SrtctlError('no-bus', `job ${jobId} has no bus yet, or this user may not read its key`, {
    hint: `srtctl status ${jobId} shows where it stands`,
  });
}
