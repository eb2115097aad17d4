import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EventBody, SrtEvent } from '../../src/messages/events/events.ts';
import { processRoleSchema } from '../../src/messages/spec/process-spec.ts';
import { processEvent, recorded, START } from '../cli/view/events.ts';
import { type Failure, nodeOf } from './failures.ts';

/** The coordinator's first observation. */
export const told = { summary: 'what was noticed first' };
/** The distance between points, ms: large enough that none counts as part of another. */
const APART_MS = 60_000;

/**
 * Writes the files of a point with this failure: its logs, and the events from its start to the end of its
 * cleanup.
 */
export async function eventsOf(
  root: string,
  { name, logs, lost }: Failure,
  ordinal: number,
): Promise<SrtEvent[]> {
  const point = { kind: 'point.transition', ordinal, name, why: 'it goes on' } as const;
  const happened: { at: number; body: EventBody }[] = [];
  const cleaned: EventBody[] = [];
  for (const [process, ended] of Object.entries(logs)) {
    const { log, at, signal = null, exitCode = null, unwellAt } = ended;
    const logFile = join(root, `${ordinal}-${process}.out`);
    await writeFile(logFile, log);
    const role = processRoleSchema.catch('step').parse(process.replace(/-.*/, ''));
    const own = { process, role, node: nodeOf[process] ?? '', logFile };
    const how = signal === null ? `ended with exit code ${exitCode}` : `ended by ${signal}`;
    const why = ended.why ?? how;
    if (unwellAt !== undefined)
      happened.push({ at: unwellAt, body: processEvent({ ...own, from: 'ready', to: 'degraded', why }) });
    if (at !== null)
      happened.push({
        at,
        body: processEvent({ ...own, from: 'ready', to: 'failed', why, signal, exitCode }),
      });
    else {
      happened.push({ at: -20_000, body: processEvent(own) });
      cleaned.push(processEvent({ ...own, from: 'ready', to: 'stopped', why: 'everything is to stop' }));
    }
  }
  const silent = { kind: 'agent.transition', why: 'silent for 3 s' } as const;
  const states = lost?.certain === false ? (['joined', 'suspect'] as const) : (['suspect', 'lost'] as const);
  const [from, to] = states;
  if (lost) happened.push({ at: lost.at, body: { ...silent, from, to, node: lost.node } });
  happened.sort((a, b) => a.at - b.at);
  const all: { at: number; body: EventBody }[] = [
    { at: -30_000, body: { ...point, from: null, to: 'planned', cause: null } },
    ...happened,
    { at: 10_000, body: { ...point, from: 'benchmarking', to: 'cleaning', cause: told } },
    { at: 11_000, body: { ...point, from: 'cleaning', to: 'failed', cause: told } },
    ...cleaned.map((body) => ({ at: 12_000, body })),
  ];
  const begin = START + ordinal * APART_MS;
  return recorded(all.map(({ body }) => body)).map((event, index) => ({
    ...event,
    at: new Date(begin + (all[index]?.at ?? 0)).toISOString(),
  }));
}
