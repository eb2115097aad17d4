import { setTimeout as sleep } from 'node:timers/promises';
import type { Bus } from '../../messages/bus/bus.ts';
import { parseEvents, type SrtEvent } from '../../messages/events/events.ts';
import { jobPaths } from '../../messages/job-directory/files.ts';
import { linesOf } from '../../os/files/lines-of.ts';
import { isOver, type JobOnDisk, readState } from './job-dir.ts';

/** Polling interval of the file and of the job's end. */
const LOOK_EVERY_MS = 500;
/** How long the last events of an ended job may take to come into the file. */
const LAST_LINES_MS = 3_000;
/** Bytes; the bus carries no larger message than half of it. */
const LONGEST_EVENT = 2 * 1_048_576;
/** How long the bus may take to deliver what it has kept. */
const CATCH_UP_MS = 10_000;

export interface EventTailOptions {
  readonly job: JobOnDisk;
  /** Continue until the job has ended. */
  readonly follow: boolean;
  /** Each event once, in the order of the stream. */
  readonly handle: (event: SrtEvent) => void | Promise<void>;
}

/**
 * The events of a job from the first on: those of events.jsonl, and while the job runs those on its bus that the file does
 * not have yet. Where the bus cannot be reached, `follow` reads what is added to the file.
 */
export async function tailEvents({ job, follow, handle }: EventTailOptions): Promise<void> {
  const { events: file } = jobPaths(job.jobDir, job.jobId);
  const seen = new Map<string, number>();
  let isFinished = false;
  const take = async (event: SrtEvent): Promise<void> => {
    if ((seen.get(event.source) ?? 0) >= event.seq) return;
    seen.set(event.source, event.seq);
    isFinished ||= event.kind === 'sweep.transition' && event.to === 'finished';
    await handle(event);
  };
  let offset = 0;
  const readFile = async (): Promise<void> => {
    for await (const { text, next } of linesOf(file, { from: offset, longest: LONGEST_EVENT })) {
      for (const event of parseEvents(text)) await take(event);
      offset = next;
    }
  };
  // Before the file, so that no event is between the two.
  const inFile = (await readState(job))?.streamSeq ?? 0;
  await readFile();
  if (await isOver(job)) return readFile();
  const bus = await onBus(job, inFile + 1, (event) => void take(event));
  try {
    await Promise.race([bus?.caughtUp(), sleep(CATCH_UP_MS, undefined, { ref: false })]);
    if (!follow) return;
    while (!isFinished && !(await isOver(job))) {
      await sleep(LOOK_EVERY_MS);
      if (bus?.isConnected() !== true) await readFile();
    }
  } finally {
    await bus?.close();
  }
  const deadline = performance.now() + LAST_LINES_MS;
  await readFile();
  while (!isFinished && performance.now() < deadline) {
    await sleep(LOOK_EVERY_MS);
    await readFile();
  }
}

interface OnBus {
  caughtUp(): Promise<void>;
  isConnected(): boolean;
  close(): Promise<void>;
}

async function onBus(
  job: JobOnDisk,
  from: number,
  take: (event: SrtEvent) => void,
): Promise<OnBus | undefined> {
  const { connectOperator } = await import('./operator-bus.ts');
  const bus: Bus | undefined = await connectOperator(job, 'events');
  if (!bus) return undefined;
  const follower = bus.follow(from, take);
  return {
    caughtUp: () => follower.caughtUp().catch(() => undefined),
    isConnected: () => bus.status.connected,
    close: () => bus.close(500),
  };
}
