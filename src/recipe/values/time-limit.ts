import * as z from 'zod';

const UNLIMITED = /^(unlimited|infinite)$/i;
const LIMIT = /^(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?$/;

/**
 * A time limit in the syntax of sbatch(1): minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS. Returns ms; null for
 * no limit, or for an invalid one.
 */
export function timeLimitMs(text: string): number | null {
  const match = LIMIT.exec(text.trim());
  if (!match) return null;
  const [days, ...fields] = match.slice(1).map((field) => (field === undefined ? undefined : Number(field)));
  const [a = 0, b, c] = fields;
  if (days !== undefined) return (((days * 24 + a) * 60 + (b ?? 0)) * 60 + (c ?? 0)) * 1_000;
  if (c !== undefined) return ((a * 60 + (b ?? 0)) * 60 + c) * 1_000;
  return (a * 60 + (b ?? 0)) * 1_000;
}

/** A text or a number of minutes that sbatch would accept as a time limit. */
export const timeLimitSchema = z
  .union([z.string(), z.number()])
  .transform(String)
  .refine((text) => UNLIMITED.test(text.trim()) || LIMIT.test(text.trim()), {
    message: 'is no time limit: minutes, HH:MM:SS or D-HH:MM:SS, in quotes',
  });

/** As HH:MM:SS, with days when there are any. */
export function timeText(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0');
  const days = Math.floor(seconds / 86_400);
  const clock = [(seconds / 3_600) % 24, (seconds / 60) % 60, seconds % 60].map(two).join(':');
  return days > 0 ? `${days}-${clock}` : clock;
}
