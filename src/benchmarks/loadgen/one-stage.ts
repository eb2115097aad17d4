import type { BenchmarkProgress } from '../../messages/job-directory/result.ts';
import type { ServingResult } from '../../messages/job-directory/serving-result.ts';
import type { Measured } from './figures/measured.ts';
import type { Group } from './group/group.ts';
import type { Counts } from './group/messages.ts';
import { partOf, requestsFor, shareAt } from './group/settings.ts';
import type { Load } from './load.ts';
import { type Intended, sendAll } from './pace/send-all.ts';
import type { PaceSettings } from './pace/settings.ts';
import { Latencies, reportProgress, type Stage, tokensSoFar } from './progress.ts';
import { outgoing } from './request/request.ts';
import type { Crew } from './threads/crew.ts';
import type { Prompt } from './workload/prompt.ts';

/** How often a client tells the first one how far it is, ms. */
const TELL_MS = 200;

/** The warm-up, or the measured requests, of one concurrency. */
export interface StageOptions {
  readonly name: 'warmup' | 'measure';
  /** Position of the concurrency in the list. */
  readonly index: number;
  /** Requests of all clients. */
  readonly count: number;
  readonly pace: PaceSettings;
  readonly group: Group;
  /** When the first measured request of the benchmark was sent, ms since 1970. */
  readonly measuredSince: number | undefined;
  /** The source of the prompts, and of the gaps between arrivals; all clients have the same of the latter. */
  readonly random: () => number;
  readonly gaps: () => number;
  readonly onSend: (prompt: Prompt) => void;
  readonly onMeasured: (one: Measured) => void;
  /** Ends the whole benchmark. */
  readonly signal: AbortSignal;
  /** Ends the stage; what was measured counts. */
  readonly until?: AbortSignal;
}

/** Sends this client's share of the requests. Resolves with the progress of all clients at the end. */
export async function runStage(
  crew: Crew,
  { config, model, source }: Load,
  options: StageOptions,
): Promise<{ progress: BenchmarkProgress; load: ServingResult['load'] }> {
  const { name, index, pace, group, signal, until = signal, measuredSince } = options;
  const concurrency = config.concurrencies[index] ?? 1;
  const share = shareAt(concurrency, group.share);
  const own = partOf(concurrency, share);
  const isTimed = pace.durationS !== null;
  // Arrivals of a rate fall to one client after the other.
  const partOfAll =
    pace.requestRate === 'inf'
      ? requestsFor(options.count, concurrency, share)
      : partOf(options.count, share);
  const count = isTimed ? Number.POSITIVE_INFINITY : partOfAll;
  const before = crew.chunks();
  const ended = { chunks: 0, tokens: 0 };
  const latencies = new Latencies();
  const mine = {
    requestsTotal: isTimed ? 0 : count,
    ...{ requestsSent: 0, requestsDone: 0, failed: 0 },
  };
  const counts = (): Counts => {
    const chunks = crew.chunks() - before;
    return { ...mine, chunks, outputTokens: tokensSoFar(chunks, ended) };
  };
  const all = (key: keyof Counts): number => counts()[key] + group.others()[key];
  const stage: Stage = {
    ...{ stage: name, concurrency, step: index + 1, steps: config.concurrencies.length, latencies },
    get requestsTotal() {
      return all('requestsTotal');
    },
    get requestsSent() {
      return all('requestsSent');
    },
    get requestsDone() {
      return all('requestsDone');
    },
    get failed() {
      return all('failed');
    },
    get chunks() {
      return all('chunks');
    },
    get outputTokens() {
      return all('outputTokens');
    },
    ...(measuredSince === undefined ? {} : { measuredSince }),
  };
  const { tell } = group;
  const timer = tell ? setInterval(() => tell(counts()), TELL_MS) : undefined;
  const reporter = reportProgress(config.progressFile, stage);
  let load: ServingResult['load'];
  try {
    load = await sendAll(source.prompts(own === 0 ? 0 : count, options.random), {
      ...{ concurrency: own, pace, share, random: options.gaps, signal: until },
      async send(prompt: Prompt, { intendedAt, heldMs }: Intended) {
        options.onSend(prompt);
        // Numbers of all clients are those of one run.
        const number = mine.requestsSent++ * share.of + share.index;
        // How many a run by time sends is known when it ends.
        if (isTimed) mine.requestsTotal = mine.requestsSent;
        const request = outgoing(config, model, prompt, { index: number, intendedAt });
        return { ...(await crew.measure(request)), heldMs };
      },
      onMeasured(one) {
        mine.requestsDone++;
        if (one.error !== null) mine.failed++;
        latencies.add(one);
        ended.chunks += one.chunks;
        ended.tokens += one.error === null ? one.outputTokens : one.chunks;
        options.onMeasured(one);
      },
    }).catch((error: unknown) => {
      // Only `until` fired: the run is over, and its measurements so far count.
      if (signal.aborted || !until.aborted) throw error;
      return undefined;
    });
  } finally {
    clearInterval(timer);
    tell?.(counts());
    await reporter.end();
  }
  const { outputTokens: _, requestsSent: __, latencies: ___, ...progress } = stage;
  return { progress: { ...progress, ...latencies.means(), outputThroughput: 0 }, load };
}
