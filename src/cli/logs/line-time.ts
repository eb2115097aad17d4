/**
 * When a line of a log was written, by its own prefix. Formats of the programs that srtctl starts, from logs of vLLM 0.32,
 * SGLang 0.5.23, TensorRT-LLM 1.3, Dynamo 1.6.1, sglang-router 0.3.2, smg 1.13, etcd 3.4, nats-server 2.9 and nginx 1.22
 * (test/why/corpus), of glog, and of pino (srtctl's own).
 */

/** Prefixes are short; a date further right belongs to the message. */
const PREFIX = 120;
/** In a line of JSON the time may come after other fields. */
const JSON_PREFIX = 600;

const CLOCK = String.raw`(?<clock>\d\d:\d\d:\d\d)(?:[.,](?<fraction>\d{1,9}))?`;
const FORMATS: readonly RegExp[] = [
  // ISO 8601; Python's logging; Rust's tracing; etcd; SGLang; [Router (Rust)]
  new RegExp(
    String.raw`(?:^|[^\d-])(?<year>\d{4})-(?<month>\d\d)-(?<day>\d\d)[T ]${CLOCK}(?<zone>Z|[+-]\d\d:?\d\d)?(?!\d)`,
  ),
  // vLLM, without a year: `INFO 11-20 09:01:12 [`
  new RegExp(String.raw`\b[A-Z]{4,8} (?<month>\d\d)-(?<day>\d\d) ${CLOCK} `),
  // nats-server, nginx, etcd's raft
  new RegExp(String.raw`(?:^|\D)(?<year>\d{4})\/(?<month>\d\d)\/(?<day>\d\d) ${CLOCK}`),
  // TensorRT-LLM: `[11/20/2026-09:20:11]`
  new RegExp(String.raw`\[(?<month>\d\d)\/(?<day>\d\d)\/(?<year>\d{4})-${CLOCK}\]`),
  // glog, with or without a year; PyTorch's writes months without a zero: `[W817 19:56:56.7 `
  new RegExp(String.raw`(?:^|[\[\s])[IWEF](?<year>\d{4})?(?<month>\d{1,2})(?<day>\d\d) ${CLOCK}`),
  // Access logs: `[20/Nov/2026:09:13:01 +0000]`
  new RegExp(
    String.raw`\[(?<day>\d\d)\/(?<name>[A-Z][a-z]{2})\/(?<year>\d{4}):${CLOCK} (?<zone>[+-]\d{4})\]`,
  ),
];
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
/** pino: ms since 1970. zap: seconds. */
const EPOCH = /"(?:time|ts|timestamp)":\s?(?<whole>\d{10}|\d{13})(?:\.(?<fraction>\d{1,9}))?[,}]/;

export interface LineTime {
  /** ms since 1970; without a zone, of this machine's zone. */
  readonly at: number;
  readonly hasZone: boolean;
}

/**
 * The time in a line's prefix; undefined when it has none.
 * @param near ms since 1970: a time of the job, for formats without a year
 */
export function timeIn(line: string, near: number): LineTime | undefined {
  const isJson = line.startsWith('{');
  const prefix = line.slice(0, isJson ? JSON_PREFIX : PREFIX);
  if (isJson) {
    const found = EPOCH.exec(prefix)?.groups;
    if (found) return { at: epochMs(found), hasZone: true };
  }
  // Most lines of a traceback or a table end here.
  if (!prefix.includes(':')) return undefined;
  for (const format of FORMATS) {
    const groups = format.exec(prefix)?.groups;
    const at = groups && msOf(groups, near);
    if (at !== undefined) return { at, hasZone: groups?.zone !== undefined };
  }
  return undefined;
}

type Groups = Readonly<Record<string, string | undefined>>;

function epochMs({ whole = '', fraction = '' }: Groups): number {
  const scale = whole.length === 13 ? 1 : 1_000;
  return (Number(whole) + Number(`0.${fraction || '0'}`)) * scale;
}

function msOf(
  { year, month, name, day, clock = '', fraction, zone }: Groups,
  near: number,
): number | undefined {
  const [hours = 0, minutes = 0, seconds = 0] = clock.split(':').map(Number);
  const monthIndex = name === undefined ? Number(month) - 1 : MONTHS.indexOf(name);
  const dayOfMonth = Number(day);
  if (monthIndex < 0 || monthIndex > 11 || dayOfMonth < 1 || dayOfMonth > 31 || hours > 23 || minutes > 59)
    return undefined;
  const ms = fraction === undefined ? 0 : Number(`0.${fraction}`) * 1_000;
  const make = (inYear: number): number => {
    if (zone === undefined)
      return new Date(inYear, monthIndex, dayOfMonth, hours, minutes, seconds).getTime() + ms;
    return Date.UTC(inYear, monthIndex, dayOfMonth, hours, minutes, seconds) + ms - zoneMs(zone);
  };
  if (year !== undefined) return make(Number(year));
  // The year that brings the date closest, because a job may run over New Year.
  const guess = new Date(near).getFullYear();
  const distance = (at: number): number => Math.abs(at - near);
  return [guess - 1, guess, guess + 1].map(make).sort((a, b) => distance(a) - distance(b))[0];
}

function zoneMs(zone: string): number {
  if (zone === 'Z') return 0;
  const [, sign, hours, minutes] = /([+-])(\d\d):?(\d\d)/.exec(zone) ?? [];
  return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
}
