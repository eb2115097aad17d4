import { readdir, readFile, stat } from 'node:fs/promises';
import { get } from 'node:http';
import type { ProgressSpec } from '../messages/process-spec.ts';
import type { Look } from './hang.ts';
import { sumsOf } from './prometheus.ts';

const MAX_BODY = 8 * 1024 * 1024;
const SMALL_FILE = 16 * 1024;

type Metrics = Extract<ProgressSpec, { kind: 'metrics' }>;
type Output = Extract<ProgressSpec, { kind: 'output' }>;

/** Figures of an engine by name; undefined when it does not give them. */
export async function readMetrics(
  { host, port, path, running, counters }: Metrics,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Record<string, number> | undefined> {
  const text = await fetchText({ host, port, path }, timeoutMs, signal);
  return text === undefined ? undefined : sumsOf(text, new Set([...running, ...counters]));
}

/** An engine without any of these figures cannot be judged. */
export function lookAtMetrics(
  { running, counters }: Metrics,
  values: Record<string, number>,
): Look | undefined {
  if (!running.some((name) => name in values) || !counters.some((name) => name in values)) return undefined;
  const requests = running.reduce((sum, name) => sum + (values[name] ?? 0), 0);
  return {
    busy: requests > 0,
    fingerprint: counters.map((name) => values[name] ?? '').join(' '),
    says: `${requests} request${requests === 1 ? '' : 's'} running and no new token`,
  };
}

/** Small files by what is in them, for some are written again and again with the same; a log by its size. */
export async function lookAtFiles({ files }: Output): Promise<Look> {
  const parts = await Promise.all(
    files.map(async (file) => {
      const { size, mtimeMs } = await stat(file).catch(() => ({ size: -1, mtimeMs: 0 }));
      if (size < 0 || size > SMALL_FILE) return `${size} ${mtimeMs}`;
      return readFile(file, 'latin1').catch(() => '');
    }),
  );
  return { busy: true, fingerprint: parts.join('\0'), says: 'no output and no progress' };
}

/** CPU time of a process group, clock ticks (100 a second). */
export async function cpuTicksOf(group: number): Promise<number> {
  let ticks = 0;
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const line = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
    const fields = line.split(') ').at(-1)?.split(' ') ?? [];
    // From the third field on: state ppid pgrp … utime (14) stime cutime cstime.
    if (Number(fields[2]) === group) for (const field of fields.slice(11, 15)) ticks += Number(field);
  }
  return ticks;
}

function fetchText(
  where: { host: string; port: number; path: string },
  timeoutMs: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const request = get({ ...where, timeout: timeoutMs, signal, agent: false }, (response) => {
      if (response.statusCode !== 200) {
        response.resume();
        return resolve(undefined);
      }
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size <= MAX_BODY) chunks.push(chunk);
        else request.destroy();
      });
      response.once('error', () => resolve(undefined));
      response.once('close', () => resolve(undefined));
      response.once('end', () => resolve(Buffer.concat(chunks).toString('latin1')));
    });
    request.once('timeout', () => request.destroy());
    request.once('error', () => resolve(undefined));
  });
}
