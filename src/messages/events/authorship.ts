import { keptMessages, type SrtEvent } from './events.ts';
import { subjectsOf } from './subjects.ts';

/**
 * Whether an event's content matches its subject. The server only lets a client publish under its own
 * subjects, so the subject is trustworthy and the content is not.
 */
export function isGenuine(job: string, subject: string, event: SrtEvent): boolean {
  const isOfAgent = keptMessages.get(event.kind)?.by === 'agent';
  const author = isOfAgent ? `agent:${'node' in event ? event.node : ''}:` : 'coordinator:';
  return event.source.startsWith(author) && subject === subjectsOf(job).kept(event.kind, event);
}
