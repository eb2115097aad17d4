/**
 * How fast a simulated engine is. The figures describe no particular GPU; they are simple so that a
 * measurement can be checked against them (docs/reference/simulator.md). All times in ms, before SRTCTL_SIM_SPEED
 * divides them.
 */
export const SPEED = {
  prefillBaseMs: 40,
  prefillPerTokenMs: 0.2,
  /** A decode step gives every running request one token. */
  stepBaseMs: 4,
  stepPerRequestMs: 0.02,
  /** Transfer of the prompt's KV cache from the prefill to the decode worker (disaggregated). */
  transferBaseMs: 2,
  transferPerTokenMs: 0.002,
} as const;

/** Time of one prompt's prefill. Prompts of one engine are prefilled one after the other. */
export const prefillMs = (promptTokens: number): number =>
  SPEED.prefillBaseMs + SPEED.prefillPerTokenMs * promptTokens;

/** Time of one decode step with `batch` running requests. */
export const stepMs = (batch: number): number => SPEED.stepBaseMs + SPEED.stepPerRequestMs * batch;

export const transferMs = (promptTokens: number): number =>
  SPEED.transferBaseMs + SPEED.transferPerTokenMs * promptTokens;

/**
 * Time to the first token of a request that does not queue. An aggregated engine's prefill gives the first
 * token; a decode worker's first token is its first step after the transfer.
 */
export function expectedTtftMs(request: {
  promptTokens: number;
  disaggregated: boolean;
  speed?: number;
}): number {
  const { promptTokens, disaggregated, speed = 1 } = request;
  const ms = prefillMs(promptTokens) + (disaggregated ? transferMs(promptTokens) + stepMs(1) : 0);
  return ms / speed;
}

/** Time per output token after the first. */
export const expectedTpotMs = (load: { batch: number; speed?: number }): number =>
  stepMs(load.batch) / (load.speed ?? 1);
