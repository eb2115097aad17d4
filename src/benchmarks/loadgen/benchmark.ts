import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Pool } from 'undici';
import writeFileAtomic from 'write-file-atomic';
import * as z from 'zod';
import type { BenchmarkProgress, ServingResult } from '../../messages/result.ts';
import { servingTable } from '../table.ts';
import { type LoadgenConfig, resultFileOf, resultFilePattern } from './config.ts';
import { randomPrompts, seededRandom } from './dataset.ts';
import { reportProgress, type Stage, writeProgress } from './progress.ts';
import { describeError, type Measured, measureRequest } from './request.ts';
import { sendAll } from './run.ts';
import { Summary } from './summary.ts';

const MODELS_TIMEOUT_MS = 30_000;
/** Thousands of connections at once overflow a server's queue, and the kernel tries again after 1, 3 and 7 s. */
const CONNECT_TIMEOUT_MS = 60_000;
/** From here on what is measured is partly this process. */
const BUSY = 0.8;

const modelsSchema = z.object({ data: z.array(z.object({ id: z.string() })).min(1) });

/** Drives the frontend at each concurrency in turn and writes what it measured. Rejects when it is aborted. */
export async function runBenchmark(config: LoadgenConfig, signal: AbortSignal): Promise<void> {
  await removeOldResults(config.resultDir);
  const model = config.model ?? (await firstModel(config.url, signal));
  const { url, endpoint, isl, osl, concurrencies } = config;
  say(`${url}${endpoint}, model ${model}: isl ${isl}, osl ${osl}, concurrencies ${concurrencies.join(', ')}`);
  const results: ServingResult[] = [];
  let last: BenchmarkProgress | undefined;
  for (const [index, concurrency] of concurrencies.entries()) {
    const { result, progress } = await runConcurrency(config, model, index, signal);
    const file = join(config.resultDir, resultFileOf(concurrency));
    await writeFileAtomic(file, `${JSON.stringify(result, null, 2)}\n`);
    results.push(result);
    last = { ...progress, stage: 'done', outputThroughput: result.outputThroughput };
  }
  if (last) await writeProgress(config.progressFile, last);
  say(`\n${servingTable(results)}`);
}

async function runConcurrency(config: LoadgenConfig, model: string, index: number, signal: AbortSignal) {
  const concurrency = config.concurrencies[index] ?? 1;
  // Connections of its own for each concurrency: one request in flight on each, none waits for another.
  const pool = new Pool(config.url, {
    connections: concurrency,
    pipelining: 1,
    // A request has one limit, its own: a prefill under load may well be silent for longer than undici would wait.
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { timeout: CONNECT_TIMEOUT_MS },
  });
  const abort = (): void => void pool.destroy(new Error('stopped'));
  signal.addEventListener('abort', abort, { once: true });
  const seed = config.seed + 2 * index;
  const [random, gaps] = [seededRandom(seed), seededRandom(seed + 1)];

  const run = async (name: 'warmup' | 'measure', count: number, onMeasured: (one: Measured) => void) => {
    const stage: Stage = {
      stage: name,
      concurrency,
      step: index + 1,
      steps: config.concurrencies.length,
      requestsTotal: count,
      requestsDone: 0,
      failed: 0,
      outputTokens: 0,
    };
    const reporter = reportProgress(config.progressFile, stage);
    const busy = performance.eventLoopUtilization();
    const onChunk = (): void => void stage.outputTokens++;
    try {
      await sendAll(randomPrompts(config, count, random), {
        concurrency,
        requestRate: config.requestRate,
        random: gaps,
        signal,
        send: (prompt) => measureRequest(pool, config, model, prompt, onChunk),
        onMeasured(one) {
          stage.requestsDone++;
          if (one.error !== null) stage.failed++;
          onMeasured(one);
        },
      });
    } finally {
      await reporter.end();
    }
    return { stage, busy: performance.eventLoopUtilization(busy).utilization };
  };

  try {
    const warmups = Math.round(concurrency * config.warmupMultiplier);
    if (warmups > 0) await run('warmup', warmups, () => undefined);
    const summary = new Summary(config, concurrency);
    const requests = Math.max(1, Math.round(concurrency * config.promptsMultiplier));
    const { stage, busy } = await run('measure', requests, (one) => summary.add(one));
    if (busy > BUSY)
      say(`warning: the load generator itself was busy for ${(busy * 100).toFixed(0)} % of the time`);
    const { outputTokens: _, ...progress } = stage;
    return { result: summary.result(), progress };
  } finally {
    signal.removeEventListener('abort', abort);
    await pool.destroy();
  }
}

/** Of a run that was broken off: a result that is there in the end is this run's. */
async function removeOldResults(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  const old = (await readdir(directory)).filter((name) => resultFilePattern.test(name));
  await Promise.all(old.map((name) => rm(join(directory, name), { force: true })));
}

async function firstModel(base: string, signal: AbortSignal): Promise<string> {
  const url = new URL('/v1/models', base);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(MODELS_TIMEOUT_MS)]);
  const response = await fetch(url, { signal: limit }).catch((error: unknown) => {
    signal.throwIfAborted();
    // fetch says "fetch failed"; why is in its cause.
    throw new Error(`${url}: ${describeError((error as Error).cause ?? error)}`, { cause: error });
  });
  const models = modelsSchema.safeParse(await response.json().catch(() => undefined));
  const [first] = models.data?.data ?? [];
  if (!first) throw new Error(`${url} names no model (HTTP ${response.status})`);
  return first.id;
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);
