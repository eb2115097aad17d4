import { readdir, readFile, stat } from 'node:fs/promises';
import { benchmarkProgressSchema } from '../../messages/job-directory/result.ts';
import type { ProgressSpec } from '../../messages/spec/process-spec.ts';
import { askHttp } from '../../os/http.ts';
import { STAT, statFields } from '../../os/processes/proc-stat.ts';
import { sumsOf } from '../../os/prometheus.ts';
import type { Look } from './hang.ts';

const SMALL_FILE = 16 * 1024;

type Metrics = Extract<ProgressSpec, { kind: 'metrics' }>;
type Output = Extract<ProgressSpec, { kind: 'output' }>;

/** Metrics of an engine by name; undefined when it does not return them. */
export async function readMetrics(
  { host, port, path, running, counters, computed = [], sent = [] }: Metrics,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Record<string, number> | undefined> {
  const answer = await askHttp({ host, port, path }, timeoutMs, signal).catch(() => undefined);
  if (answer?.status !== 200 || !answer.isWhole) return undefined;
  return sumsOf(answer.text, new Set([...running, ...counters, ...computed, ...sent]));
}

/** An engine without any of these metrics cannot be judged. */
export function lookAtMetrics(
  { running, counters, computed = [], sent = [] }: Metrics,
  values: Record<string, number>,
): Look | undefined {
  const has = (name: string) => name in values;
  const showsSent = sent.length > 0 && sent.every((name) => (values[name] ?? 0) > 0);
  const moving = showsSent ? counters : [...counters, ...computed];
  if (!running.some(has) || !moving.some(has)) return undefined;
  // Several of them count the same requests in different ways: SGLang's server and its scheduler, Dynamo
  // around both.
  const requests = Math.max(...running.map((name) => values[name] ?? 0));
  return {
    busy: requests > 0,
    fingerprint: moving.map((name) => values[name] ?? '').join(' '),
    says: `${requests} request${requests === 1 ? '' : 's'} running and no new token`,
  };
}

/**
 * Small files count by their content, because some are rewritten with the same content; a log counts by its
 * size.
 */
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

/**
 * The requests of a benchmark; undefined while none is in flight. Only their tokens count, because a falling
 * rate is printed anew each second even without tokens.
 */
export async function lookAtCounts(file: string): Promise<Look | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '');
  if (text === '') return undefined;
  const { data } = benchmarkProgressSchema.safeParse(tryJson(text));
  if (!data?.inFlight) return undefined;
  const { inFlight, step, stage, requestsDone, chunks = 0 } = data;
  return {
    busy: true,
    fingerprint: `${step} ${stage} ${requestsDone} ${chunks}`,
    says: `${inFlight} request${inFlight === 1 ? '' : 's'} in flight and no token`,
  };
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

interface Stat {
  readonly pid: number;
  readonly parent: number;
  readonly group: number;
  readonly session: number;
  readonly ticks: number;
}

/**
 * CPU time of a process that leads `group` and of all its descendants, clock ticks (100 a second). Children
 * may have groups and sessions of their own: those of benchmarks that run other programs, and engines'
 * schedulers.
 */
export async function cpuTicksOf(group: number): Promise<number> {
  const all: Stat[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const line = await readFile(`/proc/${pid}/stat`, 'latin1').catch(() => '');
    const fields = statFields(line).map(Number);
    const [parent = 0, group = 0, session = 0] = [STAT.parent, STAT.group, STAT.session].map(
      (at) => fields[at],
    );
    // Its own and its children's, in user mode and in the kernel.
    const ticks = fields.slice(STAT.userTicks, STAT.userTicks + 4);
    if (ticks.length < 4) continue;
    all.push({ pid: Number(pid), parent, group, session, ticks: ticks.reduce((sum, each) => sum + each) });
  }
  const own = new Set([group]);
  for (let before = 0; own.size > before; ) {
    before = own.size;
    for (const one of all)
      if (one.group === group || one.session === group || own.has(one.parent)) own.add(one.pid);
  }
  return all.reduce((sum, { pid, ticks }) => (own.has(pid) ? sum + ticks : sum), 0);
}
