import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import * as z from 'zod';
import { causeSchema } from '../../../src/messages/job-directory/result.ts';
import { failures } from '../../why/failures.ts';
import { eventsOf } from '../../why/left.ts';
import { writeJob } from '../job.ts';

const lineSchema = z.object({ point: z.object({ ordinal: z.number() }), cause: causeSchema });
let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

it('srtctl why names component, node and the first line of the error for each failure, from the files of a job', async () => {
  const events = await Promise.all(failures.map((failure, ordinal) => eventsOf(root, failure, ordinal)));
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
