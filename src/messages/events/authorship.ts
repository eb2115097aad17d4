import { keptMessages, type SrtEvent } from './events.ts';
import { subjectsOf } from './subjects.ts';

/** The source of an agent's events: its name and its incarnation. */
export const agentSource = (agent: string, incarnation: string): string => `agent:${agent}:${incarnation}`;

/** The agent's name in the source of an event; undefined in another source. */
export const agentOfSource = (source: string): string | undefined => /^agent:(.+):[^:]+$/.exec(source)?.[1];

/**
 * true when an event's content matches its subject. The server lets a client publish only under its own subjects, so
 * the subject is trustworthy and the content is not.
 */
export function isGenuine(job: string, subject: string, event: SrtEvent): boolean {
  const isOfAgent = keptMessages.get(event.kind)?.by === 'agent';
  const author = isOfAgent ? agentSource('node' in event ? event.node : '', '') : 'coordinator:';
  return event.source.startsWith(author) && subject === subjectsOf(job).kept(event.kind, event);
}
