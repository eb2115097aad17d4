import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { evenly } from '../../report/model/requests.ts';

/** One request of a benchmark. Times are ms since 1970. */
export interface SampledRequest {
  readonly concurrency: number;
  readonly sentMs: number;
  readonly firstMs: number;
  readonly endMs: number;
  readonly inputTokens: number | undefined;
  readonly outputTokens: number | undefined;
  readonly error: string | null;
}

/** The first line of a file of records, and the others (docs/reference/benchmarks.md). */
const headSchema = z.object({ v: z.literal(1), since: z.number() });
const recordSchema = z.object({
  sent: z.number(),
  first: z.number().nullish(),
  end: z.number(),
  tokens: z.array(z.number().nullable()).nullish(),
  error: z.string().nullable(),
});
const FILE = /^requests_concurrency_(\d+)\.jsonl$/;

/** At most `most` requests of a file of records, evenly chosen. */
export function sampleRequests(text: string, concurrency: number, most: number): SampledRequest[] {
  const [head = '', ...lines] = text.split('\n').filter((line) => line !== '');
  const since = parsed(head, headSchema)?.since;
  if (since === undefined) return [];
  return evenly(lines, most).flatMap((line) => {
    const record = parsed(line, recordSchema);
    if (!record) return [];
    const { sent, first, end, tokens, error } = record;
    return [
      {
        concurrency,
        sentMs: since + sent,
        firstMs: since + (first ?? end),
        endMs: since + end,
        inputTokens: tokens?.[0] ?? undefined,
        outputTokens: tokens?.[1] ?? undefined,
        error,
      },
    ];
  });
}

function parsed<T>(line: string, schema: z.ZodType<T>): T | undefined {
  try {
    return schema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}

/**
 * Sampled requests of all points of a job, by ordinal: at most `most` of each point, spread over its concurrencies. A
 * point whose recipe keeps no records has none.
 */
export async function requestsOfPoints(jobDir: string, most: number): Promise<Map<number, SampledRequest[]>> {
  const found = new Map<number, SampledRequest[]>();
  if (most <= 0) return found;
  const points = join(jobDir, 'points');
  for (const name of await readdir(points).catch(() => [])) {
    const ordinal = Number.parseInt(name, 10);
    if (Number.isNaN(ordinal)) continue;
    const files = (await readdir(join(points, name)).catch(() => [])).filter((file) => FILE.test(file));
    const each = Math.max(1, Math.floor(most / Math.max(1, files.length)));
    const samples: SampledRequest[] = [];
    for (const file of files) {
      const text = await readFile(join(points, name, file), 'utf8').catch(() => '');
      samples.push(...sampleRequests(text, Number(FILE.exec(file)?.[1]), each));
    }
    found.set(ordinal, samples);
  }
  return found;
}
