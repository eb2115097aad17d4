import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import type { JobOnDisk } from '../../src/cli/jobs/job-dir.ts';
import type { SrtEvent } from '../../src/messages/events/events.ts';
import { jobPaths, writeJson } from '../../src/messages/job-directory/files.ts';
import type { JobSpec, JobState } from '../../src/messages/job-directory/job-files.ts';

/** A pid that no process has: above the highest that Linux gives out. */
export const NO_PID = 2 ** 22 + 1;

export const stateOf = (jobId: string, over: Partial<JobState> = {}): JobState => ({
  v: 1,
  jobId,
  name: 'a test',
  epoch: 1,
  generation: 1,
  streamSeq: 0,
  coordinatorPid: NO_PID,
  updatedAt: '2026-01-02T03:04:05.000Z',
  sweep: 'finished',
  exitCode: 0,
  points: [{ ordinal: 0, name: 'small', state: 'done', status: 'done' }],
  cause: null,
  ...over,
});

/** The directory of a job with its files; `state` null omits state.json. */
export async function writeJob(
  root: string,
  jobId: string,
  options: { spec?: Partial<JobSpec>; state?: Partial<JobState> | null; events?: readonly SrtEvent[] } = {},
): Promise<JobOnDisk> {
  const jobDir = join(root, jobId);
  const paths = jobPaths(jobDir, jobId);
  await mkdir(paths.logs, { recursive: true });
  const spec: JobSpec = {
    v: 1,
    jobId,
    name: 'a test',
    mode: 'local',
    mock: true,
    submittedAt: '2026-01-02T03:04:05.000Z',
    tags: [],
    jobDir,
    nodes: ['node1', 'node2'],
    setupScript: null,
    variant: {},
    cluster: {},
    ...options.spec,
  };
  await writeJson(paths.spec, spec);
  if (options.state !== null) await writeJson(paths.state, stateOf(jobId, options.state));
  await writeFile(paths.events, linesOf(options.events ?? []));
  return { jobId, jobDir, spec };
}

export const linesOf = (events: readonly SrtEvent[]): string =>
  events.map((event) => `${JSON.stringify(event)}\n`).join('');

/** Standard output that keeps its text; a terminal when it has a size. */
export function fakeOut(terminal?: { columns: number; rows: number }) {
  let text = '';
  const stream = new Writable({
    write(chunk, _, done) {
      text += String(chunk);
      done();
    },
  });
  const out = Object.assign(stream, { isTTY: terminal !== undefined, ...terminal });
  return { out: out as unknown as NodeJS.WriteStream, text: () => text };
}
