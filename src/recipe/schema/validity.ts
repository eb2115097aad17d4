import * as z from 'zod';

/** Default limits. A number is the largest value that is still valid. */
export const DEFAULT_LIMITS = {
  max_failed: 0,
  max_ended_early: 0,
  output_tokens: 0.01,
  prompt_tokens: 0.01,
  max_without_usage: 0,
  max_contradicting_usage: 0,
  max_other_model: 0,
  at_once: 0.01,
  max_engine_restarts: 0,
  rate: 0.05,
  send_lag_ms: 2,
  loop_delay_ms: 2,
  client_busy: 0.5,
  client_frozen_ms: 1_000,
  clock_step_ms: 250,
  slow_start: 0.25,
} as const;
export type LimitName = keyof typeof DEFAULT_LIMITS;

const MEANING: Readonly<Record<LimitName, string>> = {
  max_failed: 'requests that may fail',
  max_ended_early: 'answers that may have fewer tokens than were asked for',
  output_tokens: 'how far output tokens may be from those asked for, as a share of them',
  prompt_tokens: 'how far prompt tokens may be from those asked for, where their length is known, as a share',
  max_without_usage: 'answers that may leave their token counts open',
  max_contradicting_usage: 'answers whose usage may contradict what arrived',
  max_other_model: "answers that may name another model than the recipe's",
  at_once: 'answers that may arrive in one piece, as a share: without a stream there is no TPOT and no ITL',
  max_engine_restarts: 'engines that may start again while requests are measured',
  rate: 'how much longer than planned it may take to send the requests of a rate, as a share',
  send_lag_ms:
    'how late the client may send (99th percentile, ms); by default 2, or a tenth of the median ITL where that is more',
  loop_delay_ms:
    'how late the client may read (99th percentile, ms); by default 2, or a tenth of the median ITL where that is more',
  client_busy: 'share of a core that a thread of the client may use',
  client_frozen_ms: 'how long the client may stand still, ms',
  clock_step_ms: 'how far the clock may be set while requests are measured, ms',
  slow_start: 'how much slower than the last third of the requests the first one may be, as a share',
};

const names = Object.keys(DEFAULT_LIMITS) as LimitName[];
const limitSchema = z.union([z.number().min(0), z.literal(false)]);

/** `benchmark.validity`: limits other than the default ones; false: none. */
export const validitySchema = z.strictObject(
  Object.fromEntries(names.map((name) => [name, limitSchema.nullish().describe(MEANING[name])])) as Record<
    LimitName,
    z.ZodOptional<z.ZodNullable<typeof limitSchema>>
  >,
);
export type ValiditySettings = z.infer<typeof validitySchema>;
