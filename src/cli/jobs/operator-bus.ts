import type { Bus } from '../../messages/bus/bus.ts';
import { connectBus, inboxOf } from '../../messages/bus/nats-bus.ts';
import { type JobOnDisk, readConnection } from './job-dir.ts';

/** A connection to a job's bus as its owner; undefined when there is none (yet, or any more). */
export async function connectOperator(job: JobOnDisk, name: string): Promise<Bus | undefined> {
  const connection = await readConnection(job);
  if (!connection) return undefined;
  return connectBus({
    url: connection.url,
    seed: connection.operatorSeed,
    job: job.jobId,
    name,
    inbox: inboxOf('operator'),
    ca: connection.ca,
  }).catch(() => undefined);
}
