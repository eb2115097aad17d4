import { SrtctlError } from '../../os/errors.ts';

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  min: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** `90s`, `10m`, `1.5h`, `2d` or `1h30m` in ms; undefined for another text. */
export function durationMs(text: string): number | undefined {
  if (!/^(?:\d+(?:\.\d+)?(?:ms|min|s|m|h|d|w))+$/.test(text)) return undefined;
  let sum = 0;
  for (const [, number, unit = ''] of text.matchAll(/(\d+(?:\.\d+)?)(ms|min|s|m|h|d|w)/g))
    sum += Number(number) * (UNITS_MS[unit] ?? 0);
  return sum;
}

/**
 * The time that `--since` names, ms since 1970: so long ago (`10m`), a time of today (`14:30`), or a date with or without
 * a time (ISO 8601). Without a zone it is local time.
 * @param now ms since 1970
 * @throws SrtctlError for another text
 */
export function timeOf(text: string, now: number): number {
  const ago = durationMs(text);
  if (ago !== undefined) return now - ago;
  if (/^\d{1,2}:\d{2}(:\d{2})?$/.test(text)) {
    const [hours = 0, minutes = 0, seconds = 0] = text.split(':').map(Number);
    if (hours < 24 && minutes < 60 && seconds < 60) return new Date(now).setHours(hours, minutes, seconds, 0);
  }
  // A date alone would be taken as UTC.
  const whole = /^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00` : text.replace(' ', 'T');
  const at = /^\d{4}-/.test(whole) ? Date.parse(whole) : Number.NaN;
  if (!Number.isNaN(at)) return at;
  throw new SrtctlError('usage', `--since ${text} is no time`, {
    hint: 'give a duration such as 10m or 2h, a time of today such as 14:30, or a date such as 2026-01-31T14:30',
  });
}

/**
 * The expression of `--grep`, or of another option.
 * @throws SrtctlError when it is none
 */
export function patternOf(text: string, ignoreCase: boolean, option = '--grep'): RegExp {
  try {
    return new RegExp(text, ignoreCase ? 'iu' : 'u');
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^Invalid regular expression: /, '') : '';
    throw new SrtctlError('usage', `${option} ${text} is no regular expression: ${why}`);
  }
}
