import type { PaceSettings } from './settings.ts';

/**
 * Returns at each call when the next request arrives, in ms after the start, for an infinite rate always 0. The
 * first one arrives at once. Gaps as in sa-bench (NVIDIA/srt-slurm 1.0.68, benchmark_serving.py, get_request):
 * gamma of shape `burstiness` and the mean that the rate has, which is Poisson's process for 1. During a ramp the rate
 * rises in proportion to the time.
 */
export function arrivalTimes(
  { requestRate: rate, arrivals, burstiness, rampUpS }: PaceSettings,
  random: () => number,
): () => number {
  if (rate === 'inf') return () => 0;
  const gap =
    arrivals === 'constant'
      ? () => 1
      : arrivals === 'poisson'
        ? () => -Math.log(1 - random())
        : () => gammaOf(burstiness, random) / burstiness;
  const inRamp = (rate * rampUpS) / 2;
  // How many requests a steady arrival of one after another has had: the time follows from the rates until then.
  let arrived = 0;
  let isFirst = true;
  return () => {
    if (!isFirst) arrived += gap();
    isFirst = false;
    const seconds =
      arrived <= inRamp ? Math.sqrt((2 * rampUpS * arrived) / rate) : arrived / rate + rampUpS / 2;
    return seconds * 1_000;
  };
}

/** Those of the arrivals that fall to one of several clients, in turn: all clients together send the whole of them. */
export function everyOther(
  next: () => number,
  { index, of }: { readonly index: number; readonly of: number },
): () => number {
  let skip = index;
  return () => {
    for (; skip > 0; skip--) next();
    skip = of - 1;
    return next();
  };
}

/**
 * A number of the gamma distribution of this shape and scale 1 (Marsaglia and Tsang, A simple method for generating
 * gamma variables, 2000).
 */
function gammaOf(shape: number, random: () => number): number {
  if (shape < 1) return gammaOf(shape + 1, random) * (1 - random()) ** (1 / shape);
  const d = shape - 1 / 3;
  const c = 1 / Math.sqrt(9 * d);
  for (;;) {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    const v = (1 + c * normal) ** 3;
    if (v > 0 && Math.log(1 - random()) < normal ** 2 / 2 + d - d * v + d * Math.log(v)) return d * v;
  }
}

/** Requests that may be in flight so many ms after the start, where the concurrency rises. */
export const limitAt = (concurrency: number, rampUpS: number, ms: number): number =>
  ms >= rampUpS * 1_000 ? concurrency : 1 + Math.floor(((concurrency - 1) * ms) / (rampUpS * 1_000));

/** When `limitAt` is more than `count`, in ms after the start. */
export const limitReached = (concurrency: number, rampUpS: number, count: number): number =>
  concurrency <= 1 ? 0 : Math.min(1, count / (concurrency - 1)) * rampUpS * 1_000;
