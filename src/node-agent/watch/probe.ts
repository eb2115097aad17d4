import { stat } from 'node:fs/promises';
import { connect } from 'node:net';
import type { HttpProbe, ProbeSpec } from '../../messages/spec/probe-spec.ts';
import { askHttp, CONNECTION_REFUSED } from '../../os/http.ts';
import { sumsOf } from '../../os/prometheus.ts';
import { countAll, parsed, type Verdict, valueAt } from './count.ts';
import { takeSteps } from './probe-steps.ts';

export interface ProbeAnswer extends Verdict {
  /** The first request succeeded, and a further one failed. */
  readonly isHalfWay?: boolean;
}

/**
 * Probes once. Never rejects; an abort counts as a failed answer. Further steps only run in phase `startup`,
 * because later they would be among the measured requests.
 */
export function probeOnce(
  probe: ProbeSpec,
  timeoutMs: number,
  signal: AbortSignal,
  phase: 'startup' | 'liveness' = 'startup',
): Promise<ProbeAnswer> {
  switch (probe.kind) {
    case 'running':
      return Promise.resolve({ ok: true, detail: 'running' });
    case 'file':
      return probeFile(probe.path);
    // Who watches the log remembers how much of it was read.
    case 'log':
      return Promise.resolve({ ok: false, detail: 'its log is not watched' });
    case 'tcp':
      return probeTcp(probe.host, probe.port, timeoutMs, signal);
    case 'http':
      return probeHttp(probe, timeoutMs, signal, phase);
  }
}

function probeTcp(host: string, port: number, timeoutMs: number, signal: AbortSignal): Promise<ProbeAnswer> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: timeoutMs, signal });
    const end = (ok: boolean, detail: string) => {
      socket.destroy();
      resolve({ ok, detail });
    };
    socket.once('connect', () => end(true, `port ${port} accepts connections`));
    socket.once('timeout', () => end(false, `port ${port} does not answer`));
    socket.once('error', (error: NodeJS.ErrnoException) =>
      end(false, error.code === 'ECONNREFUSED' ? CONNECTION_REFUSED : error.message),
    );
  });
}

async function probeFile(path: string): Promise<ProbeAnswer> {
  try {
    const found = await stat(path);
    if (!found.isFile()) return { ok: false, detail: `${path} is no file` };
    return found.size > 0
      ? { ok: true, detail: `${path} exists` }
      : { ok: false, detail: `${path} is empty` };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { ok: false, detail: code === 'ENOENT' ? `${path} does not exist` : message };
  }
}

async function probeHttp(
  probe: HttpProbe,
  timeoutMs: number,
  signal: AbortSignal,
  phase: 'startup' | 'liveness',
): Promise<ProbeAnswer> {
  const first = await firstQuestion(probe, timeoutMs, signal, phase);
  if (!first.ok || phase !== 'startup' || !probe.steps) return first;
  const further = await takeSteps(probe, probe.steps, timeoutMs, signal);
  const detail = `${first.detail}; ${further.detail}`;
  return further.ok ? { ok: true, detail } : { ok: false, detail, isHalfWay: true };
}

async function firstQuestion(
  probe: HttpProbe,
  timeoutMs: number,
  signal: AbortSignal,
  phase: 'startup' | 'liveness',
): Promise<ProbeAnswer> {
  const { path, expect, accept, older, gauge } = probe;
  try {
    const { status, text } = await askHttp(probe, timeoutMs, signal);
    if (status === 404 && older) {
      const { older: _, expect: __, ...place } = probe;
      return await firstQuestion({ ...place, ...older }, timeoutMs, signal, phase);
    }
    const isGood =
      (probe.status === undefined ? status >= 200 && status <= 299 : status === probe.status) ||
      (accept?.status === status && valueAt(parsed(text), accept.at) === accept.is);
    if (!isGood) return { ok: false, detail: `${path} answers HTTP ${status}` };
    if (gauge) return summed(text, gauge);
    return expect ? countAll(text, expect, phase) : { ok: true, detail: `${path} answers HTTP ${status}` };
  } catch (error) {
    return { ok: false, detail: (error as Error).message };
  }
}

function summed(text: string, { name, least, label }: NonNullable<HttpProbe['gauge']>): ProbeAnswer {
  const sum = sumsOf(text, new Set([name]))[name] ?? 0;
  return { ok: sum >= least, detail: `${sum} of ${least} ${label}` };
}
