/** Figures of one distribution as far as the tool states them, in ms unless its field says otherwise. */
export interface Spread {
  readonly mean?: number | undefined;
  readonly median?: number | undefined;
  readonly std?: number | undefined;
  readonly min?: number | undefined;
  readonly max?: number | undefined;
  readonly p1?: number | undefined;
  readonly p5?: number | undefined;
  readonly p10?: number | undefined;
  readonly p25?: number | undefined;
  readonly p75?: number | undefined;
  readonly p90?: number | undefined;
  readonly p95?: number | undefined;
  readonly p99?: number | undefined;
  readonly p999?: number | undefined;
}

/** One request as a file has it; times in ms. */
export interface OneRequest {
  readonly failed: boolean;
  readonly ttft: number;
  /** null: it has one token. */
  readonly tpot: number | null;
  readonly e2el: number;
  readonly gaps: readonly number[];
  readonly tokens: number;
}

/** Figures that every tool states in some form. Rates per second. */
export interface ClientFigures {
  readonly concurrency: number | null;
  readonly requestRate: number | null;
  readonly completed: number;
  /** null: the tool does not say. */
  readonly failed: number | null;
  readonly durationS: number | null;
  readonly requestThroughput: number | null;
  readonly outputThroughput: number | null;
  readonly totalThroughput: number | null;
  /** Stated by the tool; else it is computed from TPOT. */
  readonly outputPerUser?: number | undefined;
  readonly ttftMs: Spread;
  readonly tpotMs: Spread;
  readonly itlMs: Spread;
  readonly e2elMs: Spread;
  readonly inputTokens?: number | null | undefined;
  readonly outputTokens?: number | null | undefined;
  /** Each request, completed or failed, where the file has them. */
  readonly requests?: readonly OneRequest[] | undefined;
  /** Why the tool itself doubts the figures. */
  readonly doubts?: readonly string[];
}

/** Per-request lists as vLLM and SGLang write them, in seconds. */
export interface RequestLists {
  readonly ttfts?: readonly number[] | undefined;
  readonly itls?: readonly (readonly number[])[] | undefined;
  readonly latencies?: readonly number[] | undefined;
  readonly output_lens?: readonly number[] | undefined;
  readonly errors?: readonly (string | null)[] | undefined;
}

/** The requests of such lists; undefined without lists. */
export function requestsOfLists(lists: RequestLists): OneRequest[] | undefined {
  const { ttfts, itls, latencies, output_lens: lengths, errors } = lists;
  if (!ttfts || !lengths || !(itls || latencies)) return undefined;
  return ttfts.map((ttft, at) => {
    const gaps = itls?.[at] ?? [];
    const tokens = lengths[at] ?? 0;
    const e2el = latencies?.[at] ?? ttft + gaps.reduce((sum, gap) => sum + gap, 0);
    return {
      failed: (errors?.[at] ?? '') !== '' || tokens === 0,
      ttft: ttft * 1_000,
      tpot: tokens > 1 ? ((e2el - ttft) * 1_000) / (tokens - 1) : null,
      e2el: e2el * 1_000,
      gaps: gaps.map((gap) => gap * 1_000),
      tokens,
    };
  });
}
