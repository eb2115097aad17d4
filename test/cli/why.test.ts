import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import * as z from 'zod';
import type { EventBody, SrtEvent } from '../../src/messages/events.ts';
import { processRoleSchema } from '../../src/messages/process-spec.ts';
import { causeSchema } from '../../src/messages/result.ts';
import { type Failure, failures, nodeOf } from '../why/failures.ts';
import { processEvent, recorded, START } from './events.ts';
import { writeJob } from './job.ts';

const told = { summary: 'what was noticed first' };
const lineSchema = z.object({ point: z.object({ ordinal: z.number() }), cause: causeSchema });
/** Points are so far apart that none is taken for part of another, ms. */
const APART_MS = 60_000;

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** What a point leaves that failed so: its logs, and the events from its begin to the end of its cleanup. */
async function eventsOf({ name, logs, lost }: Failure, ordinal: number): Promise<SrtEvent[]> {
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

it('srtctl why names component, node and the first line of the error for each failure, by what a job has left', async () => {
  const events = await Promise.all(failures.map(eventsOf));
  await writeJob(root, 'hurt', { events: events.flat(), state: { exitCode: 3 } });
  const args = ['dist/srtctl.js', 'why', 'hurt', '--output', root, '--json'];
  const lines = execFileSync(process.execPath, args, { encoding: 'utf8' }).trim().split('\n');
  const causes = lines.map((line) => lineSchema.parse(JSON.parse(line)));
  expect(causes.map(({ point }) => point.ordinal)).toEqual([...failures.keys()]);
  expect(failures.length).toBeGreaterThanOrEqual(30);
  for (const [index, { name, cause, signature }] of failures.entries()) {
    const found = causes[index]?.cause;
    const { process = null, node = null } = found ?? {};
    expect({ process, node }, name).toEqual({ process: cause.process, node: cause.node });
    expect(found?.signature ?? null, name).toBe(signature);
    if (cause.line) expect(found?.error ?? found?.logTail?.at(-1), name).toMatch(cause.line);
  }
});
