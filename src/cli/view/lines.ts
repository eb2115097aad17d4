import type { SrtEvent } from '../../messages/events.ts';
import type { BenchmarkProgress } from '../../messages/result.ts';

const clock = (at: string): string => new Date(at).toTimeString().slice(0, 8);
const change = (from: string | null, to: string): string => (from === null ? to : `${from} → ${to}`);

/** One line for one event, as it is printed where there is no terminal. */
export function lineOf(event: SrtEvent): string {
  const at = clock(event.at);
  switch (event.kind) {
    case 'process.transition':
      return `${at} ${event.node} ${event.process} ${change(event.from, event.to)} (${event.why})`;
    case 'agent.transition':
      return `${at} ${event.node} agent ${change(event.from, event.to)} (${event.why})`;
    case 'point.transition':
      return `${at} point ${event.ordinal} ${event.name} ${change(event.from, event.to)} (${event.why})`;
    case 'sweep.transition':
      return `${at} job ${change(event.from, event.to)} (${event.why})`;
    case 'point.result':
      return `${at} point ${event.ordinal} ${event.result.name} result: ${event.result.status}`;
  }
}

/** How far a benchmark is, in a few words. */
export function progressText(progress: BenchmarkProgress): string {
  const { stage, concurrency, step, steps, requestsDone, requestsTotal, failed, outputThroughput } = progress;
  const failures = failed > 0 ? `, ${failed} failed` : '';
  const rate = outputThroughput > 0 ? `, ${outputThroughput.toFixed(0)} output tokens/s` : '';
  return `${stage}, concurrency ${concurrency} (${step} of ${steps}): ${requestsDone} of ${requestsTotal} requests${failures}${rate}`;
}
