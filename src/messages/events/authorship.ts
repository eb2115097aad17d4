import { keptMessages, type SrtEvent } from './events.ts';
import { subjectsOf } from './subjects.ts';

/**
 * Whether an event says of itself what its subject says. The server lets everybody publish under his own subjects
 * only; what a message claims inside is worth nothing by itself.
 */
export function isGenuine(job: string, subject: string, event: SrtEvent): boolean {
  const isOfAgent = keptMessages.get(event.kind)?.by === 'agent';
  const author = isOfAgent ? `agent:${'node' in event ? event.node : ''}:` : 'coordinator:';
  return event.source.startsWith(author) && subject === subjectsOf(job).kept(event.kind, event);
}
