import { setTimeout as sleep } from 'node:timers/promises';
import * as z from 'zod';
import { CausedError } from '../../machines/point.ts';
import type { CacheRecord } from '../../messages/job-directory/result.ts';
import type { Flush, HttpPlace, WorkerRest } from '../../model/kinds.ts';
import { atATime } from '../../os/at-a-time.ts';
import { askHttp, type HttpAnswer } from '../../os/http.ts';
import { sumsOf } from '../../os/prometheus.ts';

/** How long requests of the previous point may keep running, ms: engines drop those of a client that has gone within seconds. */
const QUIET_WITHIN_MS = 30_000;
const ASK_AGAIN_MS = 100;
const ANSWER_TIMEOUT_MS = 10_000;
/** Engines that are asked at the same time. */
const PARALLEL = 64;
/** How long an engine that reports no running request may refuse to flush its caches, ms. */
const REFUSES_WITHIN_MS = 5_000;

/**
 * Before a measurement: waits until no engine runs a request, and flushes the caches of all engines that offer it.
 * @throws CausedError when an engine still runs requests after `quietWithinMs`, because figures measured then are wrong
 */
export async function flushCaches(
  workers: readonly WorkerRest[],
  signal: AbortSignal,
  quietWithinMs = QUIET_WITHIN_MS,
): Promise<CacheRecord[]> {
  const records: CacheRecord[] = [];
  const deadline = performance.now() + quietWithinMs;
  await atATime(PARALLEL, workers, async (worker, index) => {
    records[index] = { process: worker.process, ...(await flushWorker(worker, deadline, signal)) };
  });
  return records;
}

type Rest = Omit<CacheRecord, 'process'>;

async function flushWorker(worker: WorkerRest, deadline: number, signal: AbortSignal): Promise<Rest> {
  const pause = async (): Promise<void> => {
    signal.throwIfAborted();
    if (performance.now() > deadline) throw stillBusy(worker);
    await sleep(ASK_AGAIN_MS);
  };
  let isQuiet = await isAtRest(worker);
  while (isQuiet === false) {
    await pause();
    isQuiet = await isAtRest(worker);
  }
  if (worker.flush.length === 0) return warm(worker.why ?? 'not offered');
  const refusesUntil = performance.now() + REFUSES_WITHIN_MS;
  for (const step of worker.flush) {
    let answer = await flush(step);
    while (answer === 'busy') {
      if (isQuiet && performance.now() > refusesUntil)
        return warm(`POST ${step.path} is refused, though no request runs`);
      await pause();
      answer = await flush(step);
    }
    if (answer !== 'done') return warm(answer.not);
    isQuiet = true;
  }
  return { flushed: true, why: worker.flush.map(({ path }) => `POST ${path}`).join(', ') };
}

const warm = (why: string): Rest => ({ flushed: false, why: `caches were warm: ${why}` });

const stillBusy = ({ process, node }: WorkerRest): CausedError =>
  new CausedError({
    summary: `${process} on ${node} still runs requests of the previous point; measuring beside them would give wrong figures`,
    node,
    process,
  });

async function flush({ path, older, advice, ...place }: Flush): Promise<'done' | 'busy' | { not: string }> {
  try {
    let { status, text } = await ask('POST', { ...place, path });
    if (status === 404 && older !== undefined)
      ({ status, text } = await ask('POST', { ...place, path: older }));
    if (status === 400 || (status === 200 && isRefusal(text))) return 'busy';
    if (status === 200) return 'done';
    const hint = status === 404 && advice !== undefined ? ` (${advice})` : '';
    return { not: `POST ${path} answered HTTP ${status}${hint}` };
  } catch (error) {
    return { not: `POST ${path}: ${(error as Error).message}` };
  }
}

/** vLLM refuses with status 200 while blocks of its cache are in use. */
const refusalSchema = z.object({ success: z.literal(false) });
const isRefusal = (text: string): boolean => refusalSchema.safeParse(tryJson(text)).success;

/** true: the engine runs no request; undefined: the engine does not report it. */
async function isAtRest({ load, ranks }: WorkerRest): Promise<boolean | undefined> {
  try {
    if (ranks) return await areRanksAtRest(ranks);
    if (!load) return undefined;
    const { text } = await ask('GET', load);
    const sums = Object.values(sumsOf(text, new Set(load.gauges)));
    return sums.length === 0 ? undefined : sums.every((sum) => sum === 0);
  } catch {
    // An engine that does not report its requests cannot be waited for.
    return undefined;
  }
}

const count = z.number().optional();
const loadSchema = z.object({
  num_reqs: count,
  num_total_reqs: count,
  num_running_reqs: count,
  num_waiting_reqs: count,
});
/** SGLang's /v1/loads, and the bare list of /get_load that older releases have. */
const loadsSchema = z.union([
  z.array(loadSchema),
  z.object({ loads: z.array(loadSchema) }).transform(({ loads }) => loads),
]);

async function areRanksAtRest({
  older,
  ...place
}: NonNullable<WorkerRest['ranks']>): Promise<boolean | undefined> {
  let { status, text } = await ask('GET', place);
  if (status === 404) ({ status, text } = await ask('GET', { ...place, path: older }));
  const { data } = loadsSchema.safeParse(tryJson(text));
  if (status !== 200 || !data || data.length === 0) return undefined;
  return data.every((load) => Object.values(load).every((requests) => !requests));
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** A POST has a body, because a server that accepts a request at every path would fail on text that is no JSON. */
const ask = (method: 'GET' | 'POST', { host, port, path }: HttpPlace): Promise<HttpAnswer> =>
  askHttp({ host, port, path, ...(method === 'POST' ? { body: {} } : {}) }, ANSWER_TIMEOUT_MS);
