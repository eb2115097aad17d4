import type { Gpus, Rates, ServingResult, Steady } from '../../../messages/job-directory/serving-result.ts';
import type { PlainTimeCounts, TimeCounts } from '../statistics/time-counts.ts';

type Throughputs = Pick<
  ServingResult,
  'requestThroughput' | 'inputThroughput' | 'outputThroughput' | 'totalThroughput'
>;

interface Counted {
  readonly completed: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
}

/** Rates per second; 0 for a run without duration. */
export function throughputsOf(
  { completed, inputTokens, outputTokens }: Counted,
  seconds: number,
): Throughputs {
  const perSecond = (count: number): number => (seconds > 0 ? count / seconds : 0);
  return {
    requestThroughput: perSecond(completed),
    inputThroughput: perSecond(inputTokens),
    outputThroughput: perSecond(outputTokens),
    totalThroughput: perSecond(inputTokens + outputTokens),
  };
}

/**
 * The steady window: from `full`, when as many requests had been sent as run at a time, to the last request
 * sent. Before it the load grows, after it it shrinks. Times in ms.
 */
export function steadyOf(counts: TimeCounts, first: number, full: number, lastSent: number): Steady {
  if (!(lastSent > full))
    return { why: 'no request was sent after as many as the concurrency: the load was never steady' };
  const counted = {
    completed: counts.between('completed', full, lastSent),
    inputTokens: counts.between('inputTokens', full, lastSent),
    outputTokens: counts.between('outputTokens', full, lastSent),
  };
  const [fromS, toS] = [(full - first) / 1_000, (lastSent - first) / 1_000];
  return { fromS, toS, ...throughputsOf(counted, toS - fromS) };
}

/** Tokens per second and GPU: all tokens over all GPUs, and each phase's tokens over its own GPUs. */
export function perGpu(
  { inputThroughput, outputThroughput, totalThroughput }: Throughputs,
  gpus: Gpus,
): NonNullable<ServingResult['perGpu']> {
  return {
    gpus,
    outputPerGpu: outputThroughput / gpus.total,
    inputPerGpu: inputThroughput / gpus.total,
    totalPerGpu: totalThroughput / gpus.total,
    inputPerPrefillGpu: gpus.prefill === null ? null : inputThroughput / gpus.prefill,
    outputPerDecodeGpu: gpus.decode === null ? null : outputThroughput / gpus.decode,
  };
}

/** `since`: begin of the counts, ms since 1970. */
export function ratesOf({ width, counts }: PlainTimeCounts, since: number): Rates {
  const { length } = counts.completed;
  const whole = (list: readonly number[]) => Array.from({ length }, (_, at) => list[at] ?? 0);
  return {
    since: Math.round(since),
    seconds: width / 1_000,
    completed: whole(counts.completed),
    failed: whole(counts.failed),
    outputTokens: whole(counts.outputTokens).map((tokens) => Math.round(tokens * 10) / 10),
  };
}
