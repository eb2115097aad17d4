import * as z from 'zod';
import type { Requests } from './report.ts';

/** A line of a file of records (benchmarks/loadgen/figures/records.ts); times in ms from the begin of the window. Version 1. */
const recordSchema = z.object({
  intended: z.number().optional(),
  sent: z.number(),
  first: z.number(),
  end: z.number(),
  last: z.number().optional(),
  chunks: z.number().optional(),
  asked: z.array(z.number()).optional(),
  tokens: z.array(z.number().nullable()).nullish(),
  error: z.string().nullable(),
});

const headSchema = z.object({ v: z.literal(1), since: z.number() });

/**
 * The requests of a file of records, at most `most` of them, evenly chosen. undefined without any completed one.
 */
export function parseRequests(text: string, most: number): Requests | undefined {
  const completed: z.infer<typeof recordSchema>[] = [];
  let failed = 0;
  const since = parsed(text.slice(0, text.indexOf('\n')), headSchema)?.since;
  for (const line of text.split('\n')) {
    const record = parsed(line, recordSchema);
    if (!record) continue;
    if (record.error === null) completed.push(record);
    else failed++;
  }
  if (completed.length === 0) return undefined;
  const kept = evenly(completed, most);
  const tokensOf = ({ tokens, chunks }: (typeof kept)[number]): number => tokens?.[1] ?? chunks ?? 0;
  return {
    since: since ?? null,
    ttftMs: kept.map(({ sent, first }) => rounded(first - sent)),
    tpotMs: kept.map((one) => {
      const tokens = tokensOf(one);
      return tokens > 1 ? rounded((one.end - one.first) / (tokens - 1)) : null;
    }),
    e2elMs: kept.map(({ sent, end }) => rounded(end - sent)),
    outputTokens: kept.map(tokensOf),
    completed: completed.length,
    failed,
  };
}

/** A line as it should be; undefined for another one, as the head, the number of those left out, or a torn one. */
function parsed<T>(line: string, schema: z.ZodType<T>): T | undefined {
  if (line === '') return undefined;
  try {
    return schema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

/** `most` values of a list at equal distances. */
export function evenly<T>(values: readonly T[], most: number): readonly T[] {
  if (values.length <= most) return values;
  return Array.from({ length: most }, (_, at) => values[Math.floor((at * values.length) / most)] as T);
}

const rounded = (ms: number): number => Math.round(ms * 100) / 100;
