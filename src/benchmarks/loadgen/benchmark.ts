import { join as joinPath } from 'node:path';
import writeFileAtomic from 'write-file-atomic';
import type { BenchmarkProgress } from '../../messages/job-directory/result.ts';
import type { ServingResult } from '../../messages/job-directory/serving-result.ts';
import { ATTEMPT_VARIABLE, seedOf } from '../common/seed.ts';
import { servingTable } from '../common/table.ts';
import { type LoadgenConfig, requestsOf, resultFileOf, warmupsOf } from './config.ts';
import { lead } from './group/first.ts';
import { alone, type Group } from './group/group.ts';
import type { Facts } from './group/messages.ts';
import { join } from './group/other.ts';
import { partOf } from './group/settings.ts';
import type { Load } from './load.ts';
import { servedModel } from './models.ts';
import { removeOldResults } from './old-results.ts';
import { runConcurrency, type Window } from './one-concurrency.ts';
import { probe } from './probe-request.ts';
import { writeProgress } from './progress.ts';
import { type StartCrew, startCrew } from './threads/crew.ts';
import { requireOpenFiles } from './threads/limits.ts';
import { withClient } from './with-client.ts';
import { makeRoom } from './workload/make-room.ts';
import { openSource } from './workload/source.ts';

/**
 * Loads the frontend at each concurrency in turn, and writes and returns the measurements. Rejects when it is aborted, or
 * when another client that measures with this one is lost. Of several clients only the first one has results.
 * @param start starts what sends the requests of one concurrency
 */
export async function runBenchmark(
  given: LoadgenConfig,
  signal: AbortSignal,
  start: StartCrew = startCrew,
): Promise<readonly ServingResult[]> {
  const seeded = { ...given, seed: seedOf(given, process.env[ATTEMPT_VARIABLE]) };
  await removeOldResults(given.resultDir);
  const group = await groupOf(given, signal);
  try {
    return await runInGroup(seeded, group, AbortSignal.any([signal, group.signal]), start);
  } catch (error) {
    // What was waited for says less than why another client is lost.
    throw group.signal.aborted ? group.signal.reason : error;
  } finally {
    group.close();
  }
}

function groupOf({ group }: LoadgenConfig, signal: AbortSignal): Promise<Group> {
  if (!group) return Promise.resolve(alone);
  return group.index === 0 ? lead(group, signal) : join(group, signal);
}

async function runInGroup(
  seeded: LoadgenConfig,
  group: Group,
  signal: AbortSignal,
  start: StartCrew,
): Promise<readonly ServingResult[]> {
  const { concurrencies } = seeded;
  requireOpenFiles(Math.max(...concurrencies.map((one) => partOf(one, group.share))));
  const source = await openSource(seeded, mostRequests(seeded), group.share);
  const config = { ...seeded, endpoint: source.endpoint, isl: source.isl, osl: source.osl };
  const find = async (): Promise<Facts> => {
    const model = await withClient(config, signal, (client) => servedModel(client, config, signal));
    const { url, endpoint, isl, osl, seed } = config;
    say(
      `${url}${endpoint}, model ${model}: isl ${isl}, osl ${osl}, concurrencies ${concurrencies.join(', ')}, seed ${seed}`,
    );
    say(source.summary);
    if (group.share.of > 1) say(`${group.share.of} clients, each with its share of them`);
    const addedTokens = await withClient(config, signal, (client) =>
      probe(client, { config, model, source }, signal),
    );
    return { model, addedTokens };
  };
  const { model, addedTokens } = await group.facts(find);
  if (addedTokens !== null) makeRoom(source, addedTokens, say);
  const load: Load = { config, source, model };
  const results: ServingResult[] = [];
  let last: BenchmarkProgress | undefined;
  const window: Window = {};
  for (const index of concurrencies.keys()) {
    const measured = await runConcurrency(start, load, index, group, window, signal);
    // Another client has the figures.
    if (!measured.result) {
      if (measured.ends) break;
      continue;
    }
    const { result, progress } = measured;
    const file = joinPath(config.resultDir, resultFileOf(result.concurrency));
    await writeFileAtomic(file, `${JSON.stringify(result, null, 2)}\n`);
    results.push(result);
    if (result.partial) {
      say(
        `stopped, because a request failed at concurrency ${result.concurrency}: ${result.errors[0] ?? ''}`,
      );
      last = undefined;
      break;
    }
    const { requests, failed, outputThroughput } = result;
    last = {
      ...progress,
      stage: 'done',
      requestsDone: requests,
      requestsTotal: requests,
      failed,
      outputThroughput,
    };
  }
  if (last) await writeProgress(config.progressFile, last);
  if (results.length > 0) say(`\n${servingTable(results)}`);
  return results;
}

/** As many requests as the benchmark can send: the probe's, warm-ups and measured ones. */
const mostRequests = ({ concurrencies, ...config }: LoadgenConfig): number =>
  config.durationS !== null
    ? Number.POSITIVE_INFINITY
    : concurrencies.reduce((sum, one) => sum + warmupsOf(config, one) + requestsOf(config, one), 1);

const say = (text: string): void => void process.stdout.write(`${text}\n`);
