import { createHash } from 'node:crypto';
import type { BenchmarkProgress } from '../../messages/job-directory/result.ts';
import type { ServingResult } from '../../messages/job-directory/serving-result.ts';
import { mixed } from '../common/seed.ts';
import { requestsOf, warmupsOf } from './config.ts';
import type { Measured } from './figures/measured.ts';
import { openWindow } from './figures/window.ts';
import type { Group } from './group/group.ts';
import type { Part } from './group/messages.ts';
import { partOf, shareAt } from './group/settings.ts';
import type { Load } from './load.ts';
import { runStage, type StageOptions } from './one-stage.ts';
import type { Crew, StartCrew } from './threads/crew.ts';
import { threadsFor } from './threads/limits.ts';
import { STOPPED } from './with-client.ts';
import { seededRandom } from './workload/random.ts';
import { WorkloadHash } from './workload/workload-hash.ts';

/** The measured window of the benchmark: when its first measured request was sent, ms since 1970. */
export interface Window {
  since?: number;
}

/** What one concurrency gave: figures, or with another client than the first one, whether it was the last. */
type Measurement =
  | { readonly result: ServingResult; readonly progress: BenchmarkProgress }
  | { readonly result: null; readonly ends: boolean };

/** Each concurrency has its own threads and connections, so none is kept from an earlier one. */
export async function runConcurrency(
  start: StartCrew,
  load: Load,
  index: number,
  group: Group,
  window: Window,
  signal: AbortSignal,
): Promise<Measurement> {
  const { config } = load;
  const concurrency = config.concurrencies[index] ?? 1;
  const own = partOf(concurrency, shareAt(concurrency, group.share));
  const crew = await start(config, threadsFor(config, Math.max(1, own)));
  const abort = (): void => crew.stop(STOPPED);
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await measure(crew, load, index, group, window, signal);
  } finally {
    signal.removeEventListener('abort', abort);
    await crew.end();
  }
}

async function measure(
  crew: Crew,
  load: Load,
  index: number,
  group: Group,
  window: Window,
  signal: AbortSignal,
): Promise<Measurement> {
  const { config, model, source } = load;
  const { share } = group;
  const concurrency = config.concurrencies[index] ?? 1;
  // Each client has prompts of its own, and all draw the same arrivals.
  const random = seededRandom(
    share.index === 0 ? mixed(config.seed, index, 0) : mixed(config.seed, index, 0, share.index),
  );
  const gaps = seededRandom(mixed(config.seed, index, 1));
  const common = { index, group, random, gaps, signal };
  const warmups = warmupsOf(config, concurrency);
  await group.together();
  if (warmups > 0) {
    // A warm-up is as short as it can be: it has the rate, and no ramp.
    const pace = { ...config, rampUpS: 0, durationS: null };
    const unused = { onSend: () => undefined, onMeasured: () => undefined, measuredSince: window.since };
    await runStage(crew, load, { ...common, ...unused, name: 'warmup', count: warmups, pace });
  }
  const hash = new WorkloadHash(source.facts);
  const figures = await openWindow(config, model, concurrency, signal, async () => ({
    begin: await group.together(),
    shiftMs: group.shiftMs,
  }));
  crew.watch();
  window.since ??= Date.now();
  const invalid = new AbortController();
  const lose = (): void => {
    if (invalid.signal.aborted) return;
    invalid.abort();
    // Ends the requests in flight.
    crew.stop(STOPPED);
  };
  group.onLost(lose);
  const stage: StageOptions = {
    ...common,
    ...{ name: 'measure', count: requestsOf(config, concurrency), pace: config, measuredSince: window.since },
    until: AbortSignal.any([signal, invalid.signal]),
    onSend: (prompt) => hash.add(prompt),
    onMeasured(one: Measured) {
      if (!figures.add(one)) return;
      group.lose();
      lose();
    },
  };
  const { progress, load: reached } = await runStage(crew, load, stage);
  const readers = await crew.end();
  const own = { threads: crew.threads, hash: hash.digest() };
  if (share.index > 0)
    return { result: null, ends: await group.give({ ...(await figures.hand(readers)), ...own }) };

  const parts = await group.parts();
  const judged = await figures.close(invalid.signal.aborted, readers, parts);
  const isLast = index === config.concurrencies.length - 1;
  group.taken(isLast || judged.partial === true);
  for (const { text } of judged.validity?.problems ?? []) say(`not valid: ${text}`);
  for (const { text } of judged.validity?.warnings ?? []) say(`warning: ${text}`);
  const result: ServingResult = {
    ...judged,
    workload: { ...source.facts, hash: hashOf([own, ...parts]) },
    ...(reached ? { load: ofAll(reached, Math.min(share.of, concurrency)) } : {}),
    connections: config.reuseConnections ? 'reused' : 'per-request',
    clientThreads: [own, ...parts].reduce((sum, { threads }) => sum + threads, 0),
    ...(share.of > 1 ? { clients: share.of } : {}),
  };
  return { result, progress };
}

/** The hash of what several clients sent is one over theirs, in their order. */
function hashOf(parts: readonly Pick<Part, 'hash'>[]): string {
  const [first, ...others] = parts;
  if (first && others.length === 0) return first.hash;
  return createHash('sha256')
    .update(parts.map(({ hash }) => hash).join('\n'))
    .digest('hex');
}

/** Each client has the same share of a rate. */
const ofAll = (load: NonNullable<ServingResult['load']>, clients: number): ServingResult['load'] => ({
  ...load,
  drawnRate: load.drawnRate === null ? null : load.drawnRate * clients,
  sentRate: load.sentRate === null ? null : load.sentRate * clients,
});

const say = (text: string): void => void process.stdout.write(`${text}\n`);
