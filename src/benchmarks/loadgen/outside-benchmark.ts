import { join } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import type { BenchmarkProgress } from '../../messages/job-directory/result.ts';
import type { ServingResult } from '../../messages/job-directory/serving-result.ts';
import { ATTEMPT_VARIABLE, seedOf } from '../common/seed.ts';
import { servingTable } from '../common/table.ts';
import { type LoadgenConfig, requestsOf, resultFileOf, warmupsOf } from './config.ts';
import { servedModel } from './models.ts';
import { removeOldResults } from './old-results.ts';
import { type OutsideStep, runOutside } from './outside/run.ts';
import { writeProgress } from './progress.ts';
import { withClient } from './with-client.ts';

/**
 * Has another client load the frontend at each concurrency in turn, and writes and returns its measurements. Rejects when
 * it is aborted, or the client fails.
 */
export async function runOutsideBenchmark(
  given: OutsideStep['config'] & LoadgenConfig,
  signal: AbortSignal,
): Promise<readonly ServingResult[]> {
  const config = { ...given, seed: seedOf(given, process.env[ATTEMPT_VARIABLE]) };
  await removeOldResults(config.resultDir);
  const model = await withClient(config, signal, (client) => servedModel(client, config, signal));
  const { url, concurrencies } = config;
  say(
    `${config.client.name} measures ${url}, model ${model}: isl ${config.isl}, osl ${config.osl}, concurrencies ${concurrencies.join(', ')}, seed ${config.seed}`,
  );
  const results: ServingResult[] = [];
  for (const [index, concurrency] of concurrencies.entries()) {
    const requests = requestsOf(config, concurrency);
    // This client does not say how far it is.
    const progress: BenchmarkProgress = {
      ...{ stage: 'measure', concurrency, step: index + 1, steps: concurrencies.length },
      ...{ requestsDone: 0, requestsTotal: requests, failed: 0, outputThroughput: 0 },
    };
    await writeProgress(config.progressFile, progress);
    const step = { config, model, concurrency, requests, warmups: warmupsOf(config, concurrency) };
    const result = await runOutside(step, signal);
    await writeFileAtomic(
      join(config.resultDir, resultFileOf(concurrency)),
      `${JSON.stringify(result, null, 2)}\n`,
    );
    results.push(result);
    for (const { text } of result.validity?.problems ?? []) say(`not valid: ${text}`);
    const isLast = index === concurrencies.length - 1;
    await writeProgress(config.progressFile, {
      ...progress,
      ...(isLast ? { stage: 'done' as const } : {}),
      ...{ requestsDone: result.requests, requestsTotal: result.requests, failed: result.failed },
      outputThroughput: result.outputThroughput,
    });
  }
  say(`\n${servingTable(results)}`);
  return results;
}

const say = (text: string): void => void process.stdout.write(`${text}\n`);
