import { join } from 'node:path';
import { atATime } from '../../os/at-a-time.ts';
import { findJob, type JobOnDisk, listJobs, outputsRoot, readJob } from '../jobs/job-dir.ts';
import type { IndexedLog } from '../logs/log-index.ts';
import { plain } from '../terminal/text.ts';
import type { Candidate, Wanted } from './complete.ts';

/** An older job is not offered, because reading all of them would take longer than a person waits for a key. */
const MOST_JOBS = 100;
const READS = 32;

/** The words that fit, or what the shell itself completes. */
export type Offer = { readonly kind: 'files' | 'directories' } | { readonly words: readonly Candidate[] };

/** @param current the beginning of the word */
export async function offerFor(wanted: Wanted, current: string): Promise<Offer> {
  if (wanted.kind === 'files' || wanted.kind === 'directories') return { kind: wanted.kind };
  const words = await wordsFor(wanted, current);
  const fitting = words.filter(({ value }) => value.startsWith(current) && isOneWord(value));
  // A job may also be the path of its directory.
  return wanted.kind === 'jobs' && fitting.length === 0 ? { kind: 'directories' } : { words: fitting };
}

/** A value with a control character, from a recipe or an engine, could change the line that a person types. */
const isOneWord = (value: string): boolean => value !== '' && plain(value) === value && !/[\n\t]/.test(value);

async function wordsFor(
  wanted: Exclude<Wanted, { kind: 'files' | 'directories' }>,
  current: string,
): Promise<readonly Candidate[]> {
  if (wanted.kind === 'nothing') return [];
  if (wanted.kind === 'words') return wanted.words;
  const root = outputsRoot(wanted.output);
  if (wanted.kind === 'jobs') return jobWords(await newestJobs(root), current);
  if (wanted.kind === 'tags') {
    const tags = new Set((await newestJobs(root)).flatMap(({ spec }) => spec.tags));
    return [...tags].sort().map((value) => ({ value, description: '' }));
  }
  const job = await findJob(wanted.job, root).catch(() => undefined);
  if (!job) return [];
  const { LogIndex } = await import('../logs/log-index.ts');
  const logs = await new LogIndex(job).refresh();
  return wanted.kind === 'nodes' ? nodeWords(logs) : logs.map(processWord);
}

async function newestJobs(root: string): Promise<JobOnDisk[]> {
  const ids = (await listJobs(root)).slice(0, MOST_JOBS);
  const jobs: (JobOnDisk | undefined)[] = [];
  await atATime(READS, ids, async (jobId, at) => {
    jobs[at] = await readJob(join(root, jobId));
  });
  return jobs.flatMap((job) => job ?? []);
}

/** Names and tags stand for one job only when no other has them. */
function jobWords(jobs: readonly JobOnDisk[], current: string): Candidate[] {
  const ids = jobs.map(({ jobId, spec }) => ({
    value: jobId,
    description: [spec.name, ...spec.tags].join(', '),
  }));
  const latest = { value: 'latest', description: 'your newest job' };
  if (current === '') return [latest, ...ids];
  const others = jobs.flatMap(({ jobId, spec }) =>
    [spec.name, ...spec.tags].map((value) => ({ value, description: jobId })),
  );
  const unique = others.filter(({ value }) => others.filter((each) => each.value === value).length === 1);
  return [latest, ...ids, ...unique];
}

const processWord = ({ process, node }: IndexedLog): Candidate => ({
  value: process,
  description: node ?? '',
});

const nodeWords = (logs: readonly IndexedLog[]): Candidate[] =>
  [...new Set(logs.flatMap(({ node }) => node ?? []))].map((value) => ({ value, description: '' }));
