import { Worker } from 'node:worker_threads';
import type { ClientFigures } from '../../../messages/job-directory/serving-result.ts';
import type { Measured } from '../figures/measured.ts';
import type { Outgoing } from '../request/request.ts';
import type { RequestSettings } from '../request/settings.ts';
import { clockOrigin, type FromThread, type ThreadData, type ToThread, unpack } from './messages.ts';

/** Threads that send requests and read their answers, while the main thread makes prompts and counts. */
export interface Crew {
  readonly threads: number;
  /**
   * Sends a request on the thread with the fewest in flight, and takes its body away. Never rejects: a failure is
   * in `error`.
   */
  measure(request: Outgoing): Promise<Measured>;
  /** Chunks with output so far. */
  chunks(): number;
  /** From now on the threads watch themselves, for `end`. */
  watch(): void;
  /** Requests in flight, and later ones, fail with `reason`. */
  stop(reason: string): void;
  /** Ends the threads, once. Returns how each did since `watch`. */
  end(): Promise<readonly ClientFigures[]>;
}

export type StartCrew = (config: RequestSettings, threads: number) => Promise<Crew>;

interface Member {
  readonly say: (message: ToThread, moved?: readonly ArrayBuffer[]) => void;
  readonly ended: Promise<ClientFigures | null>;
  inFlight: number;
}

/**
 * Starts `threads` threads, with connections of their own.
 * @throws Error when they cannot reach the frontend's name, or lack the API key
 */
export const startCrew: StartCrew = async (config, threads) => {
  const chunks = new Int32Array(new SharedArrayBuffer(4 * threads));
  const origin = clockOrigin();
  const waiting = new Map<number, (one: Measured) => void>();
  const members = await Promise.all(
    Array.from({ length: threads }, (_, thread) => startMember({ config, origin, chunks, thread }, waiting)),
  );
  let next = 0;
  let ending: Promise<readonly ClientFigures[]> | undefined;
  const end = async (): Promise<readonly ClientFigures[]> => {
    for (const { say } of members) say({ kind: 'end' });
    const figures = await Promise.all(members.map(({ ended }) => ended));
    return figures.filter((one) => one !== null);
  };
  return {
    threads,
    measure(request) {
      const member = members.reduce((least, one) => (one.inFlight < least.inFlight ? one : least));
      member.inFlight++;
      const ticket = next++;
      return new Promise((resolve) => {
        waiting.set(ticket, (one) => {
          member.inFlight--;
          resolve({ ...one, index: request.index });
        });
        member.say({ kind: 'send', request: { ...request, index: ticket } }, [request.body.buffer]);
      });
    },
    chunks: () => chunks.reduce((sum, count) => sum + count, 0),
    watch() {
      for (const { say } of members) say({ kind: 'watch' });
    },
    stop(reason) {
      for (const { say } of members) say({ kind: 'stop', reason });
    },
    end: () => (ending ??= end()),
  };
};

async function startMember(data: ThreadData, waiting: Map<number, (one: Measured) => void>): Promise<Member> {
  // Beside the program that this is bundled in.
  const worker = new Worker(new URL('./loadgen.js', import.meta.url), { workerData: data });
  // A defect: there are no figures without this thread.
  worker.on('error', (error) => {
    throw error;
  });
  let end: (client: ClientFigures | null) => void;
  const ended = new Promise<ClientFigures | null>((resolve) => {
    end = resolve;
  });
  await new Promise<void>((resolve, reject) => {
    worker.on('message', (message: FromThread) => {
      switch (message.kind) {
        case 'ready':
          return resolve();
        case 'broken':
          return reject(new Error(message.error));
        case 'ended':
          return end(message.client);
        case 'measured':
          for (const one of unpack(message.batch)) {
            const take = waiting.get(one.index);
            waiting.delete(one.index);
            take?.(one);
          }
      }
    });
  });
  return { say: (message, moved = []) => worker.postMessage(message, moved), ended, inFlight: 0 };
}
