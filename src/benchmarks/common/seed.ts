/** Mixes numbers into a seed of 32 bits that looks random (the finaliser of MurmurHash3). */
export function mixed(...parts: readonly number[]): number {
  let state = 0x9e3779b9;
  for (const part of parts) {
    state = (Math.imul(state, 31) + part) >>> 0;
    state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
    state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
    state = (state ^ (state >>> 16)) >>> 0;
  }
  return state;
}

/** Set for the benchmark of a repeated point: the number of its attempt, from 1. */
export const ATTEMPT_VARIABLE = 'SRTCTL_ATTEMPT';

/**
 * A repeated point gets other prompts, because the engines may have those of the first attempt in their
 * caches.
 */
export function seedOf(
  config: { readonly seed: number; readonly isSeedFixed: boolean },
  attempt: string | undefined,
): number {
  const number = Number(attempt ?? 1);
  return config.isSeedFixed || !(number > 1) ? config.seed : mixed(config.seed, number);
}
