import { request } from 'node:http';
import { atATime } from '../at-a-time.ts';
import { CausedError } from '../machines/point.ts';
import type { CacheRecord } from '../messages/result.ts';
import type { HttpPlace, WorkerRest } from '../plan/kinds.ts';

/** How long requests of before may still run, ms: engines drop those of a client that has gone within seconds. */
const QUIET_WITHIN_MS = 30_000;
const ASK_AGAIN_MS = 100;
const ANSWER_TIMEOUT_MS = 10_000;
/** Engines that are asked at the same time. */
const PARALLEL = 64;

/**
 * Before a measurement: empties the caches of all engines that offer it, and waits until none runs a request.
 * @throws CausedError when one still runs requests after `quietWithinMs`: what is measured beside them is false
 */
export async function settle(
  workers: readonly WorkerRest[],
  signal: AbortSignal,
  quietWithinMs = QUIET_WITHIN_MS,
): Promise<CacheRecord[]> {
  const records: CacheRecord[] = [];
  const deadline = performance.now() + quietWithinMs;
  await atATime(PARALLEL, workers, async (worker, index) => {
    records[index] = await settleOne(worker, deadline, signal);
  });
  return records;
}

async function settleOne(worker: WorkerRest, deadline: number, signal: AbortSignal): Promise<CacheRecord> {
  const { process, node } = worker;
  for (;;) {
    const answer = worker.flush ? await flush(worker.flush) : await load(worker);
    if (answer !== 'busy') return { process, ...answer };
    signal.throwIfAborted();
    if (performance.now() > deadline)
      throw new CausedError({
        summary: `${process} on ${node} still runs requests of before: what is measured now would be false`,
        node,
        process,
      });
    await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN_MS));
  }
}

type Rest = Omit<CacheRecord, 'process'>;

/** Refused (400) while requests run or wait, so a flush that was done says that the engine is quiet, too. */
async function flush(place: HttpPlace): Promise<Rest | 'busy'> {
  try {
    const { status } = await ask('POST', place);
    if (status === 200) return { flushed: true, why: `POST ${place.path}` };
    if (status === 400) return 'busy';
    return { flushed: false, why: `POST ${place.path} answered HTTP ${status}` };
  } catch (error) {
    return { flushed: false, why: `POST ${place.path}: ${(error as Error).message}` };
  }
}

async function load({ load: place, why }: WorkerRest): Promise<Rest | 'busy'> {
  const rest = { flushed: false, why: why ?? 'not offered' };
  if (!place) return rest;
  try {
    const { text } = await ask('GET', place);
    return runningRequests(text, place.gauges) > 0 ? 'busy' : rest;
  } catch {
    // Who does not say how many requests run cannot be waited for.
    return rest;
  }
}

/** The sum of gauges in a text of Prometheus metrics; 0 when there is none of them. */
export function runningRequests(text: string, gauges: readonly string[]): number {
  let sum = 0;
  for (const line of text.split('\n')) {
    const [, name = '', value] = /^([\w:]+)(?:\{.*\})?\s+(\S+)/.exec(line) ?? [];
    if (gauges.includes(name)) sum += Number(value) || 0;
  }
  return sum;
}

function ask(method: 'GET' | 'POST', { host, port, path }: HttpPlace) {
  return new Promise<{ status: number; text: string }>((resolve, reject) => {
    const asked = request(
      { method, host, port, path, agent: false, timeout: ANSWER_TIMEOUT_MS },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (piece: string) => {
          text += piece;
        });
        response.once('end', () => resolve({ status: response.statusCode ?? 0, text }));
        response.once('error', reject);
      },
    );
    asked.once('timeout', () => asked.destroy(new Error(`no answer within ${ANSWER_TIMEOUT_MS / 1_000} s`)));
    asked.once('error', reject);
    asked.end();
  });
}
