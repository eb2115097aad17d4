import { readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from './bus.ts';
import { findMarked } from './marked.ts';
import { endIfThere } from './signal.ts';

interface OwnProcess {
  readonly pid: number;
  readonly line: string;
}

/** Coordinator, agents, guards and nats-server of a job: their command lines contain its id or directory. */
async function programsOf(jobId: string): Promise<OwnProcess[]> {
  const found: OwnProcess[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const line = (await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')).replaceAll('\0', ' ');
    if (line.includes(jobId)) found.push({ pid: Number(pid), line: line.slice(0, 400) });
  }
  return found;
}

/** Processes of its agents, which carry its mark. */
async function markedWith(jobId: string): Promise<number[]> {
  const mark = `SRTCTL_JOB=${jobId}`;
  return (await findMarked([mark])).get(mark) ?? [];
}

const directoriesOf = async (jobId: string): Promise<string[]> =>
  (await readdir(tmpdir())).filter((name) => name.includes(jobId));

/** Everything that is left of a job: processes with its mark, its own programs, its temporary directories. */
export async function leftoversOf(jobId: string): Promise<string[]> {
  const marked = (await markedWith(jobId)).map((pid) => `process ${pid}`);
  const own = (await programsOf(jobId)).map(({ pid, line }) => `process ${pid}: ${line}`);
  return [...marked, ...own, ...(await directoriesOf(jobId))];
}

/**
 * Ends everything that is left of a local job with a unique id. It searches repeatedly, because guards start
 * each other again.
 */
export async function removeLeftovers(jobId: string): Promise<void> {
  await until(`the end of ${jobId}`, async () => {
    const own = (await programsOf(jobId)).map(({ pid }) => pid);
    const pids = new Set([...own, ...(await markedWith(jobId))]);
    for (const pid of pids) endIfThere(pid);
    return pids.size === 0;
  });
  for (const name of await directoriesOf(jobId))
    await rm(join(tmpdir(), name), { recursive: true, force: true });
}
