import type { ClockOffset, SrtEvent, WorkerRestartEvent } from '../../messages/events/events.ts';
import { scoresText } from '../../messages/job-directory/accuracy-result.ts';
import {
  type BenchmarkProgress,
  type PointResult,
  type SweepProgress,
  statusOfResult,
} from '../../messages/job-directory/result.ts';
import { plain } from '../terminal/text.ts';

/** Local time of day. */
export const clock = (at: string | Date): string => new Date(at).toTimeString().slice(0, 8);

/** One line for one event, for output without a terminal. */
export const lineOf = (event: SrtEvent): string => plain(`${clock(event.at)} ${whatHappened(event)}`);

function whatHappened(event: SrtEvent): string {
  switch (event.kind) {
    case 'process.transition':
      return `${event.node} ${event.process} ${change(event)}`;
    case 'agent.transition':
      return `${event.node} agent ${change(event)}`;
    case 'clock.offset':
      return clockText(event);
    case 'point.transition':
      return `point ${event.ordinal} ${event.name} ${change(event)}`;
    case 'sweep.transition':
      return `job ${change(event)}`;
    case 'point.result':
      return `point ${event.ordinal} ${event.result.name} result: ${statusOfResult(event.result)}${scoresOf(event.result)}`;
    case 'process.exec':
      return `${event.node} ${event.process} command ${event.to === 'started' ? event.why : `${event.program} ended (${event.why})`}`;
    case 'worker.kill':
      return `${event.process} ${event.done ? `gets SIG${event.signal}` : 'does not run'} (experiment.kill, ${event.after} s)`;
    case 'worker.restart':
      return restartText(event);
    case 'job.warning':
      return `warning: ${event.text}`;
    case 'sweep.progress':
      return `sweep ${sweepText(event)}`;
  }
}

/** `, gsm8k 0.9250` behind a result's status. */
const scoresOf = ({ benchmark }: PointResult): string =>
  benchmark?.accuracy?.length ? `, ${scoresText(benchmark.accuracy)}` : '';

const change = ({ from, to, why }: { from: string | null; to: string; why: string }): string =>
  `${from === null ? to : `${from} → ${to}`} (${why})`;

/** A larger clock offset misleads people who read a node's times, ms. */
const MATTERS_MS = 1_000;

/** Whether a node's clock is so far from the coordinator's that people should know. */
export const isClockOff = ({ offsetMs }: Pick<ClockOffset, 'offsetMs'>): boolean =>
  Math.abs(offsetMs) > MATTERS_MS;

/** `the clock of node2 is 3600.0 s ahead of the job's (± 0.4 ms)`. */
export function clockText({
  node,
  offsetMs,
  errorMs,
}: Pick<ClockOffset, 'node' | 'offsetMs' | 'errorMs'>): string {
  const off = `${(Math.abs(offsetMs) / 1_000).toFixed(1)} s ${offsetMs < 0 ? 'behind' : 'ahead of'}`;
  return `the clock of ${node} is ${off} the job's (± ${errorMs.toFixed(1)} ms)`;
}

/** The progress of a benchmark in a few words. */
export function progressText(progress: BenchmarkProgress): string {
  const { stage, concurrency, step, steps, requestsDone, requestsTotal, failed, outputThroughput } = progress;
  const failures = failed > 0 ? `, ${failed} failed` : '';
  const rate = outputThroughput > 0 ? `, ${outputThroughput.toFixed(0)} output tokens/s` : '';
  return `${stage}, concurrency ${concurrency} (${step} of ${steps}): ${requestsDone} of ${requestsTotal} requests${failures}${rate}`;
}

/**
 * `4 of 12 points done, 1 failed; 35 s a point, expected end 12:34:56`. A stopped sweep has no expected end.
 */
export function sweepText(
  { points, done, failed, left, meanPointMs, expectedEndAt }: SweepProgress,
  goesOn = true,
): string {
  const failures = failed > 0 ? `, ${failed} failed` : '';
  const each = meanPointMs === null ? '' : `; ${duration(meanPointMs)} a point`;
  const end = expectedEndAt === null || left === 0 || !goesOn ? '' : `, expected end ${clock(expectedEndAt)}`;
  return `${done} of ${points} points done${failures}${each}${end}`;
}

/** `0.4 s`, `35 s`, `12 min`, `3.5 h` */
export function duration(ms: number): string {
  const seconds = ms / 1_000;
  if (seconds < 120) return `${seconds < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  return seconds < 7_200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3_600).toFixed(1)} h`;
}

/** `decode-1 restart 1 of 3 in 10 s (ended by SIGKILL)` */
export function restartText(
  event: Pick<WorkerRestartEvent, 'endpoint' | 'to' | 'restart' | 'most' | 'delayMs' | 'backAfterMs' | 'why'>,
): string {
  const { endpoint, to, restart, most, delayMs, backAfterMs, why } = event;
  const which = `${endpoint} restart ${restart} of ${most}`;
  if (to === 'waiting') return `${which} in ${duration(delayMs)} (${why})`;
  if (to === 'starting') return `${which} begins`;
  return `${which}: ready ${duration(backAfterMs ?? 0)} after its end`;
}
