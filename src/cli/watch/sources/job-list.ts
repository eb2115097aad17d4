import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { readStateFile } from '../../../coordinator/record/state-file.ts';
import { jobPaths } from '../../../messages/job-directory/files.ts';
import {
  askSlurmAbout,
  isOver,
  type JobOnDisk,
  listJobs,
  readJob,
  slurmStateOf,
} from '../../jobs/job-dir.ts';
import { JobHistory } from '../model/job-history.ts';
import { type Figures, type JobLine, workerCounts } from '../model/job-line.ts';
import { EventFile } from './event-file.ts';

/** Older jobs of a long history are left out. */
const MOST_JOBS = 300;

interface Known {
  readonly job: JobOnDisk;
  /** Only of jobs that are not over. */
  history: JobHistory | null;
  events: EventFile | null;
  line: JobLine | null;
  figures: { readonly at: number; readonly best: Figures | null };
}

/** This user's jobs in the outputs directory, newest first. */
export class JobList {
  readonly root: string;
  readonly #known = new Map<string, Known>();

  constructor(root: string) {
    this.root = root;
  }

  job(jobId: string): JobOnDisk | undefined {
    return this.#known.get(jobId)?.job;
  }

  /** Knows a job that need not be in the directory. */
  add(job: JobOnDisk): void {
    if (!this.#known.has(job.jobId)) this.#known.set(job.jobId, knownOf(job));
  }

  /** Reads what may have changed. Jobs that are over are read once. */
  async read(): Promise<JobLine[]> {
    const ids = (await listJobs(this.root, { own: true })).slice(0, MOST_JOBS);
    for (const id of ids) {
      if (this.#known.has(id)) continue;
      const job = await readJob(join(this.root, id));
      if (job) this.add(job);
    }
    const all = ids.flatMap((id) => this.#known.get(id) ?? []);
    const open = all.filter(({ line }) => !line?.isOver);
    await askSlurmAbout(open.map(({ job }) => job)).catch(() => undefined);
    for (const known of open) known.line = await lineOf(known);
    return all.flatMap(({ line }) => line ?? []);
  }
}

const knownOf = (job: JobOnDisk): Known => ({
  job,
  history: null,
  events: null,
  line: null,
  figures: { at: 0, best: null },
});

async function lineOf(known: Known): Promise<JobLine> {
  const { job } = known;
  const { jobId, jobDir, spec } = job;
  const paths = jobPaths(jobDir, jobId);
  const [state, over] = await Promise.all([readStateFile(paths.state), isOver(job).catch(() => false)]);
  const entry = spec.mode === 'slurm' && !over ? await slurmStateOf(job).catch(() => undefined) : undefined;
  if (over) {
    known.history = null;
    known.events = null;
  } else {
    known.history ??= new JobHistory();
    known.events ??= new EventFile(paths.events);
    const { history } = known;
    await known.events.read((event) => history.take(event));
  }
  known.figures = await figuresOf(paths.results, known.figures);
  const points = state?.points ?? [];
  const current = [...(known.history?.job.points ?? [])].at(-1);
  const cause = state?.cause ?? known.history?.job.cause ?? null;
  return {
    ...{ jobId, jobDir, name: spec.name, tags: spec.tags, isOver: over, submittedAt: spec.submittedAt },
    state:
      over && state?.sweep !== 'finished'
        ? 'dead'
        : (state?.sweep ?? entry?.state.toLowerCase() ?? 'starting'),
    exitCode: state?.exitCode ?? null,
    reason: entry && state === undefined && entry.reason !== 'None' ? entry.reason : '',
    points: {
      all: points.length,
      done: points.filter(({ status }) => status === 'done').length,
      failed: points.filter(({ status }) => status === 'failed').length,
    },
    stage: current ? `${current[1].name}: ${current[1].state}` : '',
    workers: known.history ? workerCounts(known.history) : [],
    endedAt: over ? (state?.updatedAt ?? null) : null,
    progress: state?.progress ?? null,
    figures: known.figures.best,
    cause: cause?.summary ?? null,
  };
}

const distribution = z.object({ median: z.number() });
/** Of a line of results.jsonl, what the list shows. */
const resultSchema = z.object({
  valid: z.boolean().nullable(),
  outputThroughput: z.number(),
  ttftMs: distribution.optional(),
  itlMs: distribution.optional(),
  perGpu: z.object({ outputPerGpu: z.number() }).optional(),
});

/** The best result of a results.jsonl, when it has changed. */
async function figuresOf(path: string, before: Known['figures']): Promise<Known['figures']> {
  const at = await stat(path).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
  if (at === before.at) return before;
  const text = await readFile(path, 'utf8').catch(() => '');
  let best: Figures | null = null;
  for (const line of text.split('\n')) {
    const figures = parsed(line);
    if (figures && (best === null || figures.rate > best.rate)) best = figures;
  }
  return { at, best };
}

function parsed(line: string): Figures | undefined {
  if (line === '') return undefined;
  try {
    const result = resultSchema.safeParse(JSON.parse(line)).data;
    if (!result || result.valid === false) return undefined;
    const { perGpu, outputThroughput, ttftMs, itlMs } = result;
    return {
      rate: perGpu?.outputPerGpu ?? outputThroughput,
      isPerGpu: perGpu !== undefined,
      ttftMs: ttftMs?.median ?? null,
      itlMs: itlMs?.median ?? null,
    };
  } catch {
    return undefined;
  }
}
