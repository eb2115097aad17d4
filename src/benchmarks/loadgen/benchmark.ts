import { join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import type { BenchmarkProgress } from '../../messages/job-directory/result.ts';
import type { ServingResult } from '../../messages/job-directory/serving-result.ts';
import { ATTEMPT_VARIABLE, mixed, seedOf } from '../common/seed.ts';
import { servingTable } from '../common/table.ts';
import { type LoadgenConfig, requestsOf, resultFileOf, warmupsOf } from './config.ts';
import type { Measured } from './figures/measured.ts';
import { openWindow } from './figures/window.ts';
import type { Load } from './load.ts';
import { servedModel } from './models.ts';
import { removeOldResults } from './old-results.ts';
import { type Intended, sendAll } from './pace/send-all.ts';
import type { PaceSettings } from './pace/settings.ts';
import { probe } from './probe-request.ts';
import { Latencies, reportProgress, type Stage, tokensSoFar, writeProgress } from './progress.ts';
import { outgoing } from './request/request.ts';
import { type Crew, type StartCrew, startCrew } from './threads/crew.ts';
import { requireOpenFiles, threadsFor } from './threads/limits.ts';
import { STOPPED, withClient } from './with-client.ts';
import { makeRoom } from './workload/make-room.ts';
import type { Prompt } from './workload/prompt.ts';
import { seededRandom } from './workload/random.ts';
import { openSource } from './workload/source.ts';
import { WorkloadHash } from './workload/workload-hash.ts';

/** The measured window of the benchmark: when its first measured request was sent, ms since 1970. */
interface Window {
  since?: number;
}

/**
 * Loads the frontend at each concurrency in turn, and writes and returns the measurements. Rejects when it is
 * aborted.
 * @param start starts what sends the requests of one concurrency
 */
export async function runBenchmark(
  given: LoadgenConfig,
  signal: AbortSignal,
  start: StartCrew = startCrew,
): Promise<readonly ServingResult[]> {
  const seeded = { ...given, seed: seedOf(given, process.env[ATTEMPT_VARIABLE]) };
  await removeOldResults(given.resultDir);
  requireOpenFiles(Math.max(...given.concurrencies));
  const source = await openSource(seeded, mostRequests(given));
  const config = { ...seeded, endpoint: source.endpoint, isl: source.isl, osl: source.osl };
  const load: Load = {
    config,
    source,
    model: await withClient(config, signal, (client) => servedModel(client, config, signal)),
  };
  const { url, endpoint, isl, osl, concurrencies } = config;
  say(
    `${url}${endpoint}, model ${load.model}: isl ${isl}, osl ${osl}, concurrencies ${concurrencies.join(', ')}, seed ${config.seed}`,
  );
  say(source.summary);
  const added = await withClient(config, signal, (client) => probe(client, load, signal));
  if (added !== null) makeRoom(source, added, say);
  const results: ServingResult[] = [];
  let last: BenchmarkProgress | undefined;
  const window: Window = {};
  for (const [index, concurrency] of concurrencies.entries()) {
    const { result, progress } = await runConcurrency(start, load, index, window, signal);
    const file = join(config.resultDir, resultFileOf(concurrency));
    await writeFileAtomic(file, `${JSON.stringify(result, null, 2)}\n`);
    results.push(result);
    if (result.partial) {
      say(`stopped, because a request failed at concurrency ${concurrency}: ${result.errors[0] ?? ''}`);
      last = undefined;
      break;
    }
    last = { ...progress, stage: 'done', outputThroughput: result.outputThroughput };
  }
  if (last) await writeProgress(config.progressFile, last);
  say(`\n${servingTable(results)}`);
  return results;
}

/** As many requests as the benchmark can send: the probe's, warm-ups and measured ones. */
const mostRequests = ({ concurrencies, ...config }: LoadgenConfig): number =>
  config.durationS !== null
    ? Number.POSITIVE_INFINITY
    : concurrencies.reduce((sum, one) => sum + warmupsOf(config, one) + requestsOf(config, one), 1);

/** Each concurrency has its own threads and connections, so none is kept from an earlier one. */
async function runConcurrency(
  start: StartCrew,
  load: Load,
  index: number,
  window: Window,
  signal: AbortSignal,
) {
  const { config } = load;
  const concurrency = config.concurrencies[index] ?? 1;
  const crew = await start(config, threadsFor(config, concurrency));
  const abort = (): void => crew.stop(STOPPED);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await measure(crew, load, index, window, signal);
  } finally {
    signal.removeEventListener('abort', abort);
    await crew.end();
  }
}

async function measure(
  crew: Crew,
  { config, model, source }: Load,
  index: number,
  window: Window,
  signal: AbortSignal,
) {
  const concurrency = config.concurrencies[index] ?? 1;
  const [random, gaps] = [mixed(config.seed, index, 0), mixed(config.seed, index, 1)].map(seededRandom) as [
    () => number,
    () => number,
  ];

  const hash = new WorkloadHash(source.facts);
  const run = async (
    name: 'warmup' | 'measure',
    count: number,
    pace: PaceSettings,
    onMeasured: (one: Measured) => void,
    until = signal,
  ) => {
    const isTimed = pace.durationS !== null;
    if (name === 'measure') window.since ??= Date.now();
    const before = crew.chunks();
    const ended = { chunks: 0, tokens: 0 };
    const latencies = new Latencies();
    const stage: Stage = {
      stage: name,
      concurrency,
      step: index + 1,
      steps: config.concurrencies.length,
      requestsTotal: isTimed ? 0 : count,
      requestsSent: 0,
      requestsDone: 0,
      failed: 0,
      get chunks() {
        return crew.chunks() - before;
      },
      get outputTokens() {
        return tokensSoFar(this.chunks, ended);
      },
      latencies,
      ...(window.since === undefined ? {} : { measuredSince: window.since }),
    };
    const reporter = reportProgress(config.progressFile, stage);
    let load: ServingResult['load'];
    try {
      load = await sendAll(source.prompts(isTimed ? Number.POSITIVE_INFINITY : count, random), {
        concurrency,
        pace,
        random: gaps,
        signal: until,
        async send(prompt: Prompt, { intendedAt, heldMs }: Intended) {
          if (name === 'measure') hash.add(prompt);
          const index = stage.requestsSent++;
          // How many a run by time sends is known when it ends.
          if (isTimed) stage.requestsTotal = stage.requestsSent;
          const request = outgoing(config, model, prompt, { index, intendedAt });
          return { ...(await crew.measure(request)), heldMs };
        },
        onMeasured(one) {
          stage.requestsDone++;
          if (one.error !== null) stage.failed++;
          latencies.add(one);
          ended.chunks += one.chunks;
          ended.tokens += one.error === null ? one.outputTokens : one.chunks;
          onMeasured(one);
        },
      }).catch((error: unknown) => {
        // Only `until` fired: the run is over, and its measurements so far count.
        if (signal.aborted || !until.aborted) throw error;
        return undefined;
      });
    } finally {
      await reporter.end();
    }
    return { stage, load };
  };

  const warmups = warmupsOf(config, concurrency);
  // A warm-up is as short as it can be: it has the rate, and no ramp.
  const warmupPace = { ...config, rampUpS: 0, durationS: null };
  if (warmups > 0) await run('warmup', warmups, warmupPace, () => undefined);
  const requests = requestsOf(config, concurrency);
  const figures = await openWindow(config, model, concurrency, signal);
  crew.watch();
  const invalid = new AbortController();
  const onMeasured = (one: Measured): void => {
    if (!figures.add(one)) return;
    invalid.abort();
    // Ends the requests in flight.
    crew.stop(STOPPED);
  };
  const until = AbortSignal.any([signal, invalid.signal]);
  const { stage, load } = await run('measure', requests, config, onMeasured, until);
  const { outputTokens: _, requestsSent: __, latencies, ...counts } = stage;
  const progress = { ...counts, ...latencies.means() };
  const judged = await figures.close(invalid.signal.aborted, await crew.end());
  const workload = { ...source.facts, hash: hash.digest() };
  const result = { ...judged, workload, ...(load ? { load } : {}) };
  for (const { text } of result.validity?.problems ?? []) say(`not valid: ${text}`);
  for (const { text } of result.validity?.warnings ?? []) say(`warning: ${text}`);
  const { threads: clientThreads } = crew;
  const connections = config.reuseConnections ? ('reused' as const) : ('per-request' as const);
  return { result: { ...result, connections, clientThreads }, progress };
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);
