import type { SrtEvent } from '../../messages/events.ts';
import type { BenchmarkProgress } from '../../messages/result.ts';
import { plain } from './text.ts';

/** Local time of day. */
export const clock = (at: string | Date): string => new Date(at).toTimeString().slice(0, 8);

/** One line for one event, as it is printed where there is no terminal. */
export const lineOf = (event: SrtEvent): string => plain(`${clock(event.at)} ${whatHappened(event)}`);

function whatHappened(event: SrtEvent): string {
  switch (event.kind) {
    case 'process.transition':
      return `${event.node} ${event.process} ${change(event)}`;
    case 'agent.transition':
      return `${event.node} agent ${change(event)}`;
    case 'point.transition':
      return `point ${event.ordinal} ${event.name} ${change(event)}`;
    case 'sweep.transition':
      return `job ${change(event)}`;
    case 'point.result':
      return `point ${event.ordinal} ${event.result.name} result: ${event.result.status}`;
  }
}

const change = ({ from, to, why }: { from: string | null; to: string; why: string }): string =>
  `${from === null ? to : `${from} → ${to}`} (${why})`;

/** How far a benchmark is, in a few words. */
export function progressText(progress: BenchmarkProgress): string {
  const { stage, concurrency, step, steps, requestsDone, requestsTotal, failed, outputThroughput } = progress;
  const failures = failed > 0 ? `, ${failed} failed` : '';
  const rate = outputThroughput > 0 ? `, ${outputThroughput.toFixed(0)} output tokens/s` : '';
  return `${stage}, concurrency ${concurrency} (${step} of ${steps}): ${requestsDone} of ${requestsTotal} requests${failures}${rate}`;
}
