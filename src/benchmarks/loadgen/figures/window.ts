import { join } from 'node:path';
import type { ClientFigures, ServingResult } from '../../../messages/job-directory/serving-result.ts';
import { cacheWindow } from './caches.ts';
import { watchClient } from './client-watch.ts';
import { engineWindow } from './engine-window.ts';
import { judge } from './judge.ts';
import type { Measured } from './measured.ts';
import { Records, recordsFileOf } from './records.ts';
import type { FigureSettings } from './settings.ts';
import { type PlainSummary, Summary } from './summary.ts';

/** The measurement of one concurrency, from before its first request to its judged figures. */
export interface MeasuredWindow {
  /** Zero of all times; every thread's summary of this run gets it. */
  readonly begin: number;
  /** true: the run is invalid whatever comes, and the recipe wants it to end then. */
  add(one: Measured): boolean;
  /**
   * `isPartial`: the run was ended before all requests were sent. `readers`: how the threads did that read the
   * answers.
   */
  close(
    isPartial: boolean,
    readers: readonly ClientFigures[],
    others: readonly PartOfWindow[],
  ): Promise<ServingResult>;
  /** Ends a window whose result another client makes. */
  hand(readers: readonly ClientFigures[]): Promise<PartOfWindow>;
}

/** What one of several clients has measured. */
export interface PartOfWindow {
  readonly summary: PlainSummary;
  /** The worst of its threads. */
  readonly client: ClientFigures;
}

export interface WindowOptions {
  /** Zero of all times, on the clock of the client that makes the result; default: now. */
  readonly begin?: number;
  /** From this client's clock to that one. */
  readonly shiftMs?: number;
}

/**
 * Opens the window of one concurrency. `model` is the name that requests ask for.
 * @param starts resolves when it begins
 */
export async function openWindow(
  config: FigureSettings,
  model: string,
  concurrency: number,
  signal: AbortSignal,
  starts: () => Promise<WindowOptions> = () => Promise.resolve({}),
): Promise<MeasuredWindow> {
  const [cached, engines] = await Promise.all([
    cacheWindow(config.caches, signal),
    engineWindow(config.engines, signal),
  ]);
  const { begin = performance.now(), shiftMs = 0 } = await starts();
  // A name that only follows from the model's path is not the one that a server has to answer with.
  const summary = new Summary(config, concurrency, { begin, model: config.mustList ? model : null });
  const records = new Records(
    join(config.resultDir, recordsFileOf(concurrency)),
    begin,
    config.recordsMiB * 2 ** 20,
    shiftMs,
  );
  const watch = watchClient();
  return {
    begin,
    add(given) {
      const one = shiftMs === 0 ? given : shifted(given, shiftMs);
      summary.add(one);
      records.add(one);
      return config.stopWhenInvalid && summary.isLost(config.validity);
    },
    async close(isPartial, readers, others) {
      const client = worstOf([worst(watch.end(), readers), ...others.map((other) => other.client)]);
      for (const other of others) summary.merge(other.summary);
      const [engine] = await Promise.all([engines(), records.end()]);
      const result: ServingResult = {
        ...summary.result(),
        ...{ client, engine, seed: config.seed },
        ...(isPartial ? { partial: true } : { cache: await cached() }),
      };
      const { validity: settings, place } = config;
      return { ...result, validity: judge({ result, ...summary.proofs(), settings, place }) };
    },
    async hand(readers) {
      const client = worst(watch.end(), readers);
      await records.end();
      return { summary: summary.plain(), client };
    },
  };
}

/** The same measurements on another clock. */
const shifted = (one: Measured, ms: number): Measured => ({
  ...one,
  intendedAt: one.intendedAt + ms,
  startedAt: one.startedAt + ms,
  firstAt: one.firstAt + ms,
  lastAt: one.lastAt + ms,
  endedAt: one.endedAt + ms,
});

/** The worst of each figure. */
const worstOf = (all: readonly ClientFigures[]): ClientFigures => ({
  busy: Math.max(...all.map(({ busy }) => busy)),
  delayP99Ms: Math.max(...all.map(({ delayP99Ms }) => delayP99Ms)),
  delayMaxMs: Math.max(...all.map(({ delayMaxMs }) => delayMaxMs)),
  clockStepMs: Math.max(...all.map(({ clockStepMs }) => clockStepMs)),
});

/**
 * The worst of each figure, because one late thread spoils the percentiles of all. This thread makes prompts and
 * counts: its delays come into no time of an answer, and in sending they are judged by the requests themselves.
 */
function worst(own: ClientFigures, readers: readonly ClientFigures[]): ClientFigures {
  const most = (name: keyof ClientFigures, of: readonly ClientFigures[]): number =>
    Math.max(...of.map((client) => client[name]));
  return {
    busy: most('busy', [own, ...readers]),
    delayP99Ms: most('delayP99Ms', readers),
    delayMaxMs: most('delayMaxMs', readers),
    clockStepMs: most('clockStepMs', [own, ...readers]),
  };
}
