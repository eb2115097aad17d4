import * as z from 'zod';

const UNLIMITED = /^(unlimited|infinite)$/i;
const LIMIT = /^(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?$/;

/**
 * A time limit as sbatch(1) takes it: minutes, MM:SS, HH:MM:SS, D-HH, D-HH:MM or D-HH:MM:SS, in ms; null for none (or
 * for what is no time limit).
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

/** Text or a number of minutes that sbatch would take for a time limit. */
export const timeLimitSchema = z
  .union([z.string(), z.number()])
  .transform(String)
  .refine((text) => UNLIMITED.test(text.trim()) || LIMIT.test(text.trim()), {
    message: 'is no time limit: minutes, HH:MM:SS or D-HH:MM:SS, in quotes',
  });

/** As HH:MM:SS, with days where there are some. */
export function timeText(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0');
  const days = Math.floor(seconds / 86_400);
  const clock = [(seconds / 3_600) % 24, (seconds / 60) % 60, seconds % 60].map(two).join(':');
  return days > 0 ? `${days}-${clock}` : clock;
}
