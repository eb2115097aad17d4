import * as z from 'zod';

const UNITS = { ms: 0.001, s: 1, m: 60, h: 3_600 } as const;
const TEXT = /^(\d+(?:\.\d+)?) ?(ms|s|m|h)$/;

/** A time in seconds: a number of seconds, or a number with its unit, as `60s`, `1.5m` or `500ms`. */
export const durationSchema = z
  .union([z.number().min(0), z.string().regex(TEXT, 'must be seconds, or a number with ms, s, m or h')])
  .transform((value) => {
    if (typeof value === 'number') return value;
    const [, count = '', unit = 's'] = TEXT.exec(value) ?? [];
    return Number(count) * UNITS[unit as keyof typeof UNITS];
  })
  .pipe(z.number().max(86_400));
