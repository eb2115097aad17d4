import type { Bus } from '../../messages/bus/bus.ts';
import { connectBus, inboxOf } from '../../messages/bus/nats-bus.ts';
import { cancelReplySchema } from '../../messages/events/control.ts';
import { WIRE_VERSION } from '../../messages/events/events.ts';
import { subjectsOf } from '../../messages/events/subjects.ts';
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

const ASK_MS = 5_000;

/** Asks a job's coordinator to end it. false: it cannot be reached. */
export async function askToEnd(job: JobOnDisk, by: string): Promise<boolean> {
  const bus = await connectOperator(job, 'cancel');
  if (!bus) return false;
  try {
    const request = { v: WIRE_VERSION, by };
    await bus.request(subjectsOf(job.jobId).cancel, request, cancelReplySchema, ASK_MS);
    return true;
  } catch {
    return false;
  } finally {
    await bus.close(500);
  }
}
