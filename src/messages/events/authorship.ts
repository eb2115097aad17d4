import type { SrtEvent } from './events.ts';
import { subjectsOf } from './subjects.ts';

/**
 * Whether an event says of itself what its subject says. The server lets everybody publish under his own subjects
 * only; what a message claims inside is worth nothing by itself.
 */
export function isGenuine(job: string, subject: string, event: SrtEvent): boolean {
  const author = event.kind === 'process.transition' ? `agent:${event.node}:` : 'coordinator:';
  return event.source.startsWith(author) && subject === subjectFor(job, event);
}

/** The subject under which an event is told. */
export function subjectFor(job: string, event: SrtEvent): string {
  const subjects = subjectsOf(job);
  switch (event.kind) {
    case 'process.transition':
      return subjects.processTransition(event.node, event.process);
    case 'agent.transition':
      return subjects.agentTransition(event.node);
    case 'clock.offset':
      return subjects.clockOffset(event.node);
    case 'point.transition':
      return subjects.pointTransition(event.ordinal);
    case 'point.result':
      return subjects.pointResult(event.ordinal);
    case 'sweep.transition':
      return subjects.sweepTransition;
    case 'sweep.progress':
      return subjects.sweepProgress;
  }
}
