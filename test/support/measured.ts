import type { Measured } from '../../src/benchmarks/loadgen/figures/measured.ts';

/** The measurements of a request that was sent at once and got what it asked for, unless `over` says more. */
export function measured(over: Partial<Measured> = {}): Measured {
  const { startedAt = 0, ttftMs = 0, gapsMs = [], inputTokens = 1, outputTokens = 1 } = over;
  const { endedAt = startedAt + ttftMs, error = null } = over;
  return {
    index: 0,
    intendedAt: startedAt,
    startedAt,
    queuedMs: 0,
    connectMs: 0,
    firstAt: startedAt + ttftMs,
    ttftMs,
    lastAt: endedAt,
    endedAt,
    gapsMs,
    chunks: error === null ? gapsMs.length + 1 : 0,
    asked: { inputTokens, outputTokens, isExact: true },
    usage:
      error === null
        ? { promptTokens: inputTokens, completionTokens: outputTokens, cachedTokens: null }
        : null,
    inputTokens,
    outputTokens,
    answerBytes: 1_000,
    model: 'served',
    finishReason: error === null ? 'length' : null,
    status: 200,
    error,
    ...over,
  };
}
