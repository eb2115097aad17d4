import { setTimeout as sleep } from 'node:timers/promises';
import type { ProbeInput, ProcessEvent } from '../../machines/process.ts';
import { LinearPattern } from '../../messages/spec/linear-pattern.ts';
import type { ProbeSpec } from '../../messages/spec/process-spec.ts';
import { CONNECTION_REFUSED } from '../../os/http.ts';
import { AnswerCheck, asksItself, hasPort, type WhoAsks } from '../ports/answer-check.ts';
import { LineWatch } from './line-watch.ts';
import { type ProbeAnswer, probeOnce } from './probe.ts';

/**
 * While a process starts: at once, then every 250 ms, so that readiness is noticed at once. A process with a
 * long start (a model of many GB) is probed less often, at intervals of a tenth of its age.
 */
const STARTUP = { firstMs: 250, shareOfAge: 0.1, mostMs: 2_000, timeoutMs: 5_000 };
/**
 * While it serves: rarely and patiently, because under full load an answer may be slow. SGLang itself waits
 * 20 s for a token before it answers 503 (HEALTH_CHECK_TIMEOUT in its srt/entrypoints/http_server.py), and
 * the probe must receive that answer.
 */
const LIVENESS = { everyMs: 5_000, timeoutMs: 25_000, failuresUntilDegraded: 3 };

/** Shorter intervals for a process that fails sooner than these probes could detect. */
export const livenessOf = (unhealthyAfterMs: number): { everyMs: number; timeoutMs: number } => ({
  everyMs: Math.min(LIVENESS.everyMs, unhealthyAfterMs / 4),
  timeoutMs: Math.min(LIVENESS.timeoutMs, unhealthyAfterMs / 2),
});

/**
 * Probes until the returned function is called. `who` determines which process listens at an address, because an answer
 * counts only when it comes from the process itself. `logFrom`: byte of its log where its output starts.
 */
export function watchProbe(
  input: ProbeInput,
  tell: (event: ProcessEvent) => void,
  who?: WhoAsks,
  logFrom = 0,
): () => void {
  const abort = new AbortController();
  const { probe } = input.spec;
  if (probe.kind === 'running') {
    // Sent in a later turn, because an invoked actor must not send events while it is being started.
    if (input.phase === 'startup') queueMicrotask(() => tell({ type: 'probe.passed', detail: 'running' }));
    return () => abort.abort();
  }
  const stepsWithinMs = (probe.kind === 'http' ? probe.stepsWithinMs : undefined) ?? Number.POSITIVE_INFINITY;
  const check = who && hasPort(probe) && asksItself(input.spec) ? new AnswerCheck(probe, who) : undefined;
  const { givesUp, logFile, probeEveryMs } = input.spec;
  const lines =
    probe.kind === 'log' ? new LineWatch(logFile, logFrom, new LinearPattern(probe.pattern)) : undefined;
  const surrender = givesUp === undefined ? undefined : new LineWatch(logFile, logFrom, givesUp);
  if (input.phase === 'startup') void untilReady();
  else if (!isAskedOnce(probe)) void forLiveness();

  async function ask(): Promise<ProbeAnswer> {
    if (!lines) return probeOnce(probe, STARTUP.timeoutMs, abort.signal);
    const line = await lines.look();
    return line === undefined
      ? { ok: false, detail: 'no line of its log says that it is ready' }
      : { ok: true, detail: `its log says: ${line}` };
  }

  async function untilReady(): Promise<void> {
    const began = performance.now();
    let halfWaySince: number | undefined;
    let missed = '';
    while (!abort.signal.aborted) {
      const answer = await ask();
      const verdict = answer.ok
        ? await check?.ready()
        : answer.detail === CONNECTION_REFUSED
          ? undefined
          : await check?.sometimes('starting');
      if (abort.signal.aborted) return;
      if (verdict?.is === 'stranger') return tell({ type: 'port.taken', detail: verdict.says });
      if (answer.ok && (!verdict || verdict.is === 'pass')) {
        const seconds = ((performance.now() - began) / 1000).toFixed(1);
        const doubt = verdict?.says ? `; ${verdict.says}` : '';
        tell({ type: 'probe.passed', detail: `${answer.detail} after ${seconds} s${doubt}` });
        return;
      }
      const gaveUp = await surrender?.look();
      if (abort.signal.aborted) return;
      if (gaveUp !== undefined) return tell({ type: 'probe.gaveUp', detail: gaveUp });
      if (answer.detail !== missed) tell({ type: 'probe.missed', detail: answer.detail });
      missed = answer.detail;
      halfWaySince = answer.isHalfWay ? (halfWaySince ?? performance.now()) : undefined;
      if (halfWaySince !== undefined && performance.now() - halfWaySince > stepsWithinMs) {
        tell({ type: 'probe.gaveUp', detail: `${answer.detail}, for ${Math.round(stepsWithinMs / 1000)} s` });
        return;
      }
      const age = performance.now() - began;
      const soon = Math.min(Math.max(STARTUP.firstMs, age * STARTUP.shareOfAge), STARTUP.mostMs);
      await pause(probeEveryMs ?? soon, abort.signal);
    }
  }

  async function forLiveness(): Promise<void> {
    const { unhealthyAfterMs } = input.spec;
    const { everyMs, timeoutMs } = livenessOf(unhealthyAfterMs);
    let failures = 0;
    let failingSince = 0;
    let told = false;
    while (!abort.signal.aborted) {
      await pause(everyMs, abort.signal);
      if (abort.signal.aborted) return;
      const asked = performance.now();
      const answer = await probeOnce(probe, timeoutMs, abort.signal, 'liveness');
      const verdict = answer.ok ? await check?.sometimes('serving') : undefined;
      if (abort.signal.aborted) return;
      if (verdict?.is === 'stranger') return tell({ type: 'port.taken', detail: verdict.says });
      failures = answer.ok ? 0 : failures + 1;
      if (answer.ok) tell({ type: 'probe.passed', detail: answer.detail });
      if (failures === 1) failingSince = asked;
      const forMs = performance.now() - failingSince;
      const isDegraded = failures >= LIVENESS.failuresUntilDegraded || forMs >= unhealthyAfterMs / 2;
      if (failures > 0 && isDegraded && !told) {
        told = true;
        tell({ type: 'probe.failed', detail: answer.detail, forMs });
      }
    }
  }
  return () => abort.abort();
}

/** Whether the process is not probed any more once it is ready. */
const isAskedOnce = (probe: ProbeSpec): boolean =>
  probe.kind === 'log' || probe.kind === 'file' || ('once' in probe && probe.once === true);

/** An abort ends it early. */
const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  sleep(ms, undefined, { signal }).catch(() => undefined);
