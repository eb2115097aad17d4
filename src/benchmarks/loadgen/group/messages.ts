import * as z from 'zod';
import type { PlainSummary } from '../figures/summary.ts';
import type { PartOfWindow } from '../figures/window.ts';

const counts = z.array(z.number());
/** JSON has no numbers without end and none that is none. */
const histogram = z.object({
  count: z.number(),
  mean: z.number(),
  squares: z.number(),
  min: z.number(),
  max: z.number(),
  zeros: z.number(),
  buckets: counts,
});
const timeCounts = z.object({
  begin: z.number(),
  width: z.number(),
  counts: z.object({ completed: counts, failed: counts, inputTokens: counts, outputTokens: counts }),
});
const evidence = z.object({
  counts: z.object({
    requests: z.number(),
    completed: z.number(),
    failed: z.number(),
    inputTokens: z.number(),
    outputTokens: z.number(),
    askedOutputTokens: z.number(),
    chunks: z.number(),
    endedEarly: z.number(),
    withoutUsage: z.number(),
    contradicting: z.number(),
    otherModel: z.number(),
    atOnce: z.number(),
    comparedPrompts: z.number(),
    knownPromptTokens: z.number(),
    statedPromptTokens: z.number(),
  }),
  errors: z.array(z.string()),
  examples: z.object({
    endedEarly: z.string().optional(),
    contradicting: z.string().optional(),
    otherModel: z.string().optional(),
  }),
  lagMs: histogram,
  sent: z.tuple([z.number(), z.number(), z.number(), z.number()]).nullable(),
});
const orNone = (none: number) =>
  z
    .number()
    .nullable()
    .transform((value) => value ?? none);
const summary = z.object({
  distributions: z.object({
    ttftMs: histogram,
    tpotMs: histogram,
    itlMs: histogram,
    e2elMs: histogram,
    queuedMs: histogram,
    ttftFromIntendedMs: histogram,
    e2elFromIntendedMs: histogram,
    islReached: histogram,
    oslReached: histogram,
    outputPerUser: histogram,
  }),
  evidence,
  drift: z.object({
    stride: z.number(),
    requests: z.array(z.tuple([z.number(), z.number(), orNone(Number.NaN)])),
  }),
  goodput: z.object({ requests: z.number(), outputTokens: z.number() }),
  fine: timeCounts,
  coarse: timeCounts.nullable(),
  times: z.tuple([z.number(), z.number(), z.number(), orNone(Number.NEGATIVE_INFINITY)]).nullable(),
  since: z.number(),
}) satisfies z.ZodType<PlainSummary>;

const clientFigures = z.object({
  busy: z.number(),
  delayP99Ms: z.number(),
  delayMaxMs: z.number(),
  clockStepMs: z.number(),
});

/** What a client has measured at one concurrency. */
export interface Part extends PartOfWindow {
  readonly threads: number;
  /** Hash of what it sent. */
  readonly hash: string;
}
const partSchema: z.ZodType<Part> = z.object({
  summary,
  client: clientFigures,
  threads: z.number(),
  hash: z.string(),
});

const progressSchema = z.object({
  requestsTotal: z.number(),
  requestsSent: z.number(),
  requestsDone: z.number(),
  failed: z.number(),
  chunks: z.number(),
  outputTokens: z.number(),
});
/** The counts of a stage that those of several clients add up to. */
export type Counts = z.infer<typeof progressSchema>;

/** What the first client found out for all. */
const factsSchema = z.object({ model: z.string(), addedTokens: z.number().nullable() });
export type Facts = z.infer<typeof factsSchema>;

/** From the first client; times in ms of its `performance.now()`. */
export const fromFirstSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('welcome') }),
  z.object({ kind: z.literal('clock'), now: z.number() }),
  z.object({ kind: z.literal('facts'), facts: factsSchema }),
  /** The stage that all wait for begins at this time. */
  z.object({ kind: z.literal('go'), at: z.number() }),
  /** The run is invalid: requests in flight end. */
  z.object({ kind: z.literal('lost') }),
  /** The figures have arrived; `ends`: no other concurrency follows. */
  z.object({ kind: z.literal('taken'), ends: z.boolean() }),
]);
export type FromFirst = z.infer<typeof fromFirstSchema>;

/** From another client. */
export const fromOtherSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('hello'), token: z.string(), index: z.number().int().positive() }),
  z.object({ kind: z.literal('clock') }),
  z.object({ kind: z.literal('ready') }),
  z.object({ kind: z.literal('counts'), counts: progressSchema }),
  z.object({ kind: z.literal('lost') }),
  z.object({ kind: z.literal('part'), part: partSchema }),
]);
export type FromOther = z.infer<typeof fromOtherSchema>;

/** The file in which the first client says how to reach it. */
export const meetingSchema = z.object({
  v: z.literal(1),
  host: z.string(),
  port: z.number().int(),
  token: z.string(),
});
