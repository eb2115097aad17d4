import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Pool } from 'undici';
import writeFileAtomic from 'write-file-atomic';
import * as z from 'zod';
import type { BenchmarkProgress, ServingResult } from '../../messages/result.ts';
import { servingTable } from '../table.ts';
import { type LoadgenConfig, loadgenConfigSchema, resultFileOf } from './config.ts';
import { randomPrompts, seededRandom } from './dataset.ts';
import { sendAll, summarise, type Tally } from './run.ts';

/** `node loadgen.js --config FILE`: drives the frontend at each concurrency in turn and writes what it measured. */
const PROGRESS_MS = 250;
const SAY_MS = 1_000;

const modelsSchema = z.object({ data: z.array(z.object({ id: z.string() })).min(1) });

const stop = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT'] as const)
  process.on(signal, () => stop.abort(new Error(`stopped by ${signal}`)));

try {
  const { values } = parseArgs({ options: { config: { type: 'string' } } });
  if (!values.config) throw new Error('usage: loadgen --config FILE');
  await run(loadgenConfigSchema.parse(JSON.parse(await readFile(values.config, 'utf8'))), stop.signal);
} catch (error) {
  process.stderr.write(`loadgen: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
}
process.exit(0);

async function run(config: LoadgenConfig, signal: AbortSignal): Promise<void> {
  const model = config.model ?? (await firstModel(config.url));
  const { url, endpoint, isl, osl, concurrencies } = config;
  process.stdout.write(
    `${url}${endpoint}, model ${model}: isl ${isl}, osl ${osl}, concurrencies ${concurrencies.join(', ')}\n`,
  );
  const results: ServingResult[] = [];
  for (const [index, concurrency] of config.concurrencies.entries()) {
    // Connections of its own for each concurrency: one request in flight on each, none waits for another.
    const pool = new Pool(config.url, {
      connections: concurrency,
      pipelining: 1,
      headersTimeout: config.requestTimeoutMs,
      bodyTimeout: config.requestTimeoutMs,
    });
    const random = seededRandom(config.seed + index);
    const stage = async (name: 'warmup' | 'measure', multiplier: number) => {
      const count = Math.max(name === 'measure' ? 1 : 0, Math.round(concurrency * multiplier));
      const prompts = randomPrompts(config, count, random);
      const tally: Tally = { done: 0, failed: 0, outputTokens: 0 };
      const progress = reporter(config, name, concurrency, index + 1, prompts.length, tally);
      try {
        return await sendAll(pool, config, model, prompts, { concurrency, random, signal, tally });
      } finally {
        await progress.end();
      }
    };
    await stage('warmup', config.warmupMultiplier);
    const result = summarise(config, concurrency, await stage('measure', config.promptsMultiplier));
    await writeFileAtomic(
      join(config.resultDir, resultFileOf(concurrency)),
      `${JSON.stringify(result, null, 2)}\n`,
    );
    results.push(result);
    await pool.close();
  }
  process.stdout.write(`\n${servingTable(results)}\n`);
}

async function firstModel(url: string): Promise<string> {
  const response = await fetch(new URL('/v1/models', url));
  const models = modelsSchema.safeParse(await response.json().catch(() => undefined));
  const [first] = models.data?.data ?? [];
  if (!first) throw new Error(`${url}/v1/models names no model (HTTP ${response.status})`);
  return first.id;
}

/** Tells how far a stage is: a file for the coordinator, a line for who reads the log. */
function reporter(
  config: LoadgenConfig,
  stage: BenchmarkProgress['stage'],
  concurrency: number,
  step: number,
  total: number,
  tally: Tally,
) {
  const begin = performance.now();
  let saidAt = begin;
  let writing: Promise<void> = Promise.resolve();
  const tell = (last: boolean): void => {
    const seconds = (performance.now() - begin) / 1_000;
    const progress: BenchmarkProgress = {
      stage,
      concurrency,
      step,
      steps: config.concurrencies.length,
      requestsDone: tally.done,
      requestsTotal: total,
      failed: tally.failed,
      outputThroughput: seconds > 0 ? tally.outputTokens / seconds : 0,
    };
    writing = writing.then(() => replaceFile(config.progressFile, JSON.stringify(progress)));
    if (!last && performance.now() - saidAt < SAY_MS) return;
    saidAt = performance.now();
    const failed = tally.failed > 0 ? `, ${tally.failed} failed` : '';
    const rate = progress.outputThroughput.toFixed(1);
    process.stdout.write(
      `concurrency ${concurrency} ${stage}: ${tally.done} of ${total} requests${failed}, ${rate} output tokens/s\n`,
    );
  };
  const timer = setInterval(() => tell(false), PROGRESS_MS);
  return {
    async end(): Promise<void> {
      clearInterval(timer);
      tell(true);
      await writing;
    },
  };
}

/** A reader sees the old or the new, never half; it need not survive a power cut. */
async function replaceFile(path: string, content: string): Promise<void> {
  const aside = `${path}.new`;
  await writeFile(aside, content)
    .then(() => rename(aside, path))
    .catch(() => undefined);
}
