import { get } from 'node:http';
import { connect } from 'node:net';
import * as z from 'zod';
import type { JsonCount, ProbeSpec } from '../messages/process-spec.ts';

export interface ProbeAnswer {
  readonly ok: boolean;
  /** For people: `HTTP 200`, `3 of 6 prefill workers`, `connection refused`. */
  readonly detail: string;
}

const MAX_BODY = 4 * 1024 * 1024;

/** Asks once. Never rejects; an abort is an answer that is not ok. */
export function probeOnce(probe: ProbeSpec, timeoutMs: number, signal: AbortSignal): Promise<ProbeAnswer> {
  switch (probe.kind) {
    case 'running':
      return Promise.resolve({ ok: true, detail: 'running' });
    case 'tcp':
      return probeTcp(probe.host, probe.port, timeoutMs, signal);
    case 'http':
      return probeHttp(probe, timeoutMs, signal);
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
    socket.once('error', (error: NodeJS.ErrnoException) => end(false, plain(error)));
  });
}

function probeHttp(
  probe: Extract<ProbeSpec, { kind: 'http' }>,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<ProbeAnswer> {
  return new Promise((resolve) => {
    const { host, port, path } = probe;
    const request = get({ host, port, path, timeout: timeoutMs, signal, agent: false }, (response) => {
      const status = response.statusCode ?? 0;
      const chunks: Buffer[] = [];
      let size = 0;
      response.on('data', (chunk: Buffer) => {
        size += chunk.length;
        if (size <= MAX_BODY) chunks.push(chunk);
      });
      response.on('error', () => resolve({ ok: false, detail: `${path} was cut off` }));
      response.on('end', () => {
        if (status < 200 || status > 299)
          return resolve({ ok: false, detail: `${path} answers HTTP ${status}` });
        if (!probe.expect) return resolve({ ok: true, detail: `${path} answers HTTP ${status}` });
        resolve(countAll(Buffer.concat(chunks).toString('utf8'), probe.expect));
      });
    });
    request.once('timeout', () =>
      request.destroy(new Error(`${path} does not answer within ${timeoutMs} ms`)),
    );
    request.once('error', (error: NodeJS.ErrnoException) => resolve({ ok: false, detail: plain(error) }));
  });
}

const plain = (error: NodeJS.ErrnoException): string =>
  error.code === 'ECONNREFUSED' ? 'connection refused' : error.message;

const element = z.record(z.string(), z.unknown());

/** Holds a JSON text against counts. Exported for its test. */
export function countAll(text: string, expect: readonly JsonCount[]): ProbeAnswer {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    return { ok: false, detail: 'the answer is not JSON' };
  }
  const counts = expect.map((count) => ({ count, have: countOne(body, count) }));
  return {
    ok: counts.every(({ count, have }) => have >= count.atLeast),
    detail: counts.map(({ count, have }) => `${have} of ${count.atLeast} ${count.label}`).join(', '),
  };
}

function countOne(body: unknown, count: JsonCount): number {
  let at: unknown = body;
  for (const key of count.at) at = element.safeParse(at).data?.[key];
  if (!Array.isArray(at)) return 0;
  return at.filter((item) => {
    const fields = element.safeParse(item).data;
    return fields !== undefined && Object.entries(count.where).every(([key, value]) => fields[key] === value);
  }).length;
}
