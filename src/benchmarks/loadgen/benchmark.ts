import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Pool } from 'undici';
import writeFileAtomic from 'write-file-atomic';
import type { BenchmarkProgress, ServingResult } from '../../messages/job-directory/result.ts';
import { ATTEMPT_VARIABLE, mixed, seedOf } from '../common/seed.ts';
import { servingTable } from '../common/table.ts';
import { cacheWindow } from './caches.ts';
import { type LoadgenConfig, resultFileOf, resultFilePattern } from './config.ts';
import { randomPrompts, seededRandom, type Workload } from './dataset.ts';
import { servedModel } from './models.ts';
import { probe } from './probe-request.ts';
import { reportProgress, type Stage, writeProgress } from './progress.ts';
import { type Measured, measureRequest } from './request.ts';
import { sendAll } from './run.ts';
import { Summary } from './summary.ts';
import { ordinaryIds, readVocabulary } from './vocabulary.ts';

/**
 * Thousands of simultaneous connections overflow a server's queue, and the kernel retries after 1, 3 and 7 s.
 */
const CONNECT_TIMEOUT_MS = 60_000;
/** Above this CPU share the measurement partly measures this process. */
const BUSY = 0.8;

/**
 * Loads the frontend at each concurrency in turn, and writes and returns the measurements. Rejects when it is
 * aborted.
 */
export async function runBenchmark(
  given: LoadgenConfig,
  signal: AbortSignal,
): Promise<readonly ServingResult[]> {
  const config = { ...given, seed: seedOf(given, process.env[ATTEMPT_VARIABLE]) };
  await removeOldResults(config.resultDir);
  const load: Workload = {
    config,
    model: await servedModel(config, signal),
    ids: await promptIds(config),
  };
  const { url, endpoint, isl, osl, concurrencies } = config;
  say(
    `${url}${endpoint}, model ${load.model}: isl ${isl}, osl ${osl}, concurrencies ${concurrencies.join(', ')}, seed ${config.seed}`,
  );
  await withPool(config, 1, signal, (pool) => probe(pool, load, signal));
  const results: ServingResult[] = [];
  let last: BenchmarkProgress | undefined;
  for (const [index, concurrency] of concurrencies.entries()) {
    const { result, progress } = await runConcurrency(load, index, signal);
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

/** Token ids for prompts; [] when prompts are words. */
async function promptIds({ prompts, modelPath }: LoadgenConfig): Promise<readonly number[]> {
  if (prompts === 'words') return [];
  return ordinaryIds(modelPath === null ? undefined : await readVocabulary(modelPath));
}

/** Connections only for `run`; they are destroyed after it, or when `signal` fires. */
async function withPool<T>(
  { url }: LoadgenConfig,
  connections: number,
  signal: AbortSignal,
  run: (pool: Pool) => Promise<T>,
): Promise<T> {
  const pool = new Pool(url, {
    connections,
    pipelining: 1,
    // A request only has its own limit, because a prefill under load may be silent for longer than undici
    // would wait.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { timeout: CONNECT_TIMEOUT_MS },
  });
  const abort = (): void => void pool.destroy(new Error('stopped'));
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await run(pool);
  } finally {
    signal.removeEventListener('abort', abort);
    await pool.destroy();
  }
}

/**
 * Each concurrency has its own connections: one for each request in flight, so that no request waits for
 * another.
 */
function runConcurrency(load: Workload, index: number, signal: AbortSignal) {
  const concurrency = load.config.concurrencies[index] ?? 1;
  return withPool(load.config, concurrency, signal, (pool) => measure(pool, load, index, signal));
}

async function measure(pool: Pool, { config, model, ids }: Workload, index: number, signal: AbortSignal) {
  const concurrency = config.concurrencies[index] ?? 1;
  const [random, gaps] = [mixed(config.seed, index, 0), mixed(config.seed, index, 1)].map(seededRandom) as [
    () => number,
    () => number,
  ];

  const run = async (
    name: 'warmup' | 'measure',
    count: number,
    onMeasured: (one: Measured) => void,
    until = signal,
  ) => {
    const stage: Stage = {
      stage: name,
      concurrency,
      step: index + 1,
      steps: config.concurrencies.length,
      requestsTotal: count,
      requestsSent: 0,
      requestsDone: 0,
      failed: 0,
      outputTokens: 0,
    };
    const reporter = reportProgress(config.progressFile, stage);
    const busy = performance.eventLoopUtilization();
    const onChunk = (): void => void stage.outputTokens++;
    try {
      await sendAll(randomPrompts(config, ids, count, random), {
        concurrency,
        requestRate: config.requestRate,
        random: gaps,
        signal: until,
        send: (prompt) => {
          stage.requestsSent++;
          return measureRequest(pool, config, model, prompt, onChunk);
        },
        onMeasured(one) {
          stage.requestsDone++;
          if (one.error !== null) stage.failed++;
          onMeasured(one);
        },
      }).catch((error: unknown) => {
        // Only `until` fired: the run is over, and its measurements so far count.
        if (signal.aborted || !until.aborted) throw error;
      });
    } finally {
      await reporter.end();
    }
    return { stage, busy: performance.eventLoopUtilization(busy).utilization };
  };

  const warmups = Math.round(concurrency * config.warmupMultiplier);
  if (warmups > 0) await run('warmup', warmups, () => undefined);
  const summary = new Summary(config, concurrency);
  const requests = Math.max(1, Math.round(concurrency * config.promptsMultiplier));
  const cached = await cacheWindow(config.caches, signal);
  const invalid = new AbortController();
  const onMeasured = (one: Measured): void => {
    summary.add(one);
    if (one.error === null || !config.stopWhenInvalid) return;
    invalid.abort();
    // Destroying the connections ends the requests in flight.
    void pool.destroy(new Error('stopped'));
  };
  const { stage, busy } = await run(
    'measure',
    requests,
    onMeasured,
    AbortSignal.any([signal, invalid.signal]),
  );
  const { outputTokens: _, requestsSent: __, ...progress } = stage;
  const figures: ServingResult = { ...summary.result(), seed: config.seed };
  if (invalid.signal.aborted) return { result: { ...figures, partial: true }, progress };
  const cache = await cached();
  if (busy > BUSY)
    say(`warning: the load generator itself was busy for ${(busy * 100).toFixed(0)} % of the time`);
  return { result: { ...figures, cache }, progress };
}

/** Removes results of an aborted run, so that an existing result is this run's. */
async function removeOldResults(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  const old = (await readdir(directory)).filter((name) => resultFilePattern.test(name));
  await Promise.all(old.map((name) => rm(join(directory, name), { force: true })));
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);
