import { rmSync } from 'node:fs';
import sqlite, { type Database } from 'node-sqlite3-wasm';
import * as z from 'zod';
import type { JobCreate, JobUpdate } from '../status/contract.ts';

/**
 * Columns of a job, as GET /api/jobs/{job_id} has them. Lists have the first seven, as in srt-slurm
 * (contract/responses.py).
 */
const SUMMARY = ['job_id', 'job_name', 'status', 'stage', 'cluster', 'submitted_at', 'updated_at'] as const;
const TEXTS = ['recipe', 'message', 'started_at', 'completed_at', 'logs_url'] as const;
const JSONS = ['benchmark_results', 'metadata'] as const;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS jobs (
    job_id TEXT PRIMARY KEY, job_name TEXT NOT NULL, status TEXT NOT NULL, stage TEXT, cluster TEXT, recipe TEXT,
    message TEXT, submitted_at TEXT NOT NULL, started_at TEXT, completed_at TEXT, updated_at TEXT NOT NULL,
    exit_code INTEGER, logs_url TEXT, benchmark_results TEXT, metadata TEXT
  );
  CREATE INDEX IF NOT EXISTS jobs_by_time ON jobs (submitted_at DESC);
  CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY, job_id TEXT NOT NULL REFERENCES jobs (job_id), at TEXT NOT NULL, body TEXT NOT NULL
  );
  CREATE INDEX IF NOT EXISTS events_by_job ON events (job_id, id);
`;

const text = z.string().nullable();
const summarySchema = z.object({
  job_id: z.string(),
  job_name: z.string(),
  status: z.string(),
  stage: text,
  cluster: text,
  submitted_at: z.string(),
  updated_at: z.string(),
});
export type JobSummary = z.infer<typeof summarySchema>;
const json = text.transform((value): unknown => (value === null ? null : JSON.parse(value)));
const detailSchema = summarySchema.extend({
  ...{ recipe: text, message: text, started_at: text, completed_at: text, logs_url: text },
  exit_code: z.number().nullable(),
  ...{ benchmark_results: json, metadata: json },
});

export interface JobList {
  readonly jobs: JobSummary[];
  readonly total: number;
  readonly page: number;
  readonly per_page: number;
}

export interface ListQuery {
  /** From 1. */
  readonly page: number;
  readonly perPage: number;
  readonly status?: string | undefined;
  readonly cluster?: string | undefined;
}

/** Events of a job that are kept; a sweep of thousands of points has several for each. */
const MOST_EVENTS = 1_000;

/**
 * The jobs of a status server, in one SQLite file. SQLite is a WebAssembly build, because Node 20 has none of its own
 * and native bindings are compiled at installation; sql.js would keep the whole database in memory.
 */
export class JobStore {
  readonly #database: Database;

  /**
   * @param path of the file; it is made when it does not exist. Only one process may have it open: SQLite's lock is a
   * directory beside it, which a killed process leaves, and which is removed here.
   */
  constructor(path: string) {
    rmSync(`${path}.lock`, { recursive: true, force: true });
    this.#database = new sqlite.Database(path);
    this.#database.exec(SCHEMA);
  }

  close(): void {
    this.#database.close();
  }

  /** Adds a job. A job that is there already keeps its status. */
  create(job: JobCreate): void {
    this.#together(() => this.#create(job));
  }

  #create(job: JobCreate): void {
    this.#database.run(
      `INSERT INTO jobs (job_id, job_name, status, cluster, recipe, submitted_at, updated_at, metadata)
       VALUES (?, ?, 'submitted', ?, ?, ?, ?, ?)
       ON CONFLICT (job_id) DO UPDATE SET job_name = excluded.job_name,
         cluster = coalesce(excluded.cluster, cluster), recipe = coalesce(excluded.recipe, recipe),
         submitted_at = excluded.submitted_at, metadata = json_patch(coalesce(metadata, '{}'), coalesce(excluded.metadata, '{}'))`,
      [
        ...[job.job_id, job.job_name, job.cluster ?? null, job.recipe ?? null],
        ...[job.submitted_at, job.submitted_at, job.metadata ? JSON.stringify(job.metadata) : null],
      ],
    );
    this.#event(job.job_id, job.submitted_at, { type: 'create', ...job });
  }

  /**
   * Merges an update into a job: fields that it does not have stay.
   * @param now ISO 8601, for an update without a time
   * @returns false when there is no such job
   */
  update(jobId: string, update: JobUpdate, now: string): boolean {
    return this.#together(() => this.#update(jobId, update, now));
  }

  #update(jobId: string, update: JobUpdate, now: string): boolean {
    const at = update.updated_at ?? now;
    const assign = [...['stage', ...TEXTS].map(kept), kept('exit_code'), kept('benchmark_results')];
    const { changes } = this.#database.run(
      `UPDATE jobs SET status = :status, updated_at = :at, ${assign.join(', ')},
         metadata = json_patch(coalesce(metadata, '{}'), :metadata)
       WHERE job_id = :id`,
      {
        ...{ ':id': jobId, ':status': update.status, ':at': at, ':stage': update.stage ?? null },
        ...{ ':recipe': null, ':message': update.message ?? null, ':logs_url': update.logs_url ?? null },
        ...{ ':started_at': update.started_at ?? null, ':completed_at': update.completed_at ?? null },
        ':exit_code': update.exit_code ?? null,
        ':benchmark_results': update.benchmark_results ? JSON.stringify(update.benchmark_results) : null,
        ':metadata': JSON.stringify(update.metadata ?? {}),
      },
    );
    if (changes === 0) return false;
    this.#event(jobId, at, { type: 'update', ...update });
    return true;
  }

  /** Jobs, the newest first. */
  list({ page, perPage, status, cluster }: ListQuery): JobList {
    const wanted = '(:status IS NULL OR status = :status) AND (:cluster IS NULL OR cluster = :cluster)';
    const values = { ':status': status ?? null, ':cluster': cluster ?? null };
    const rows = this.#database.all(
      `SELECT ${SUMMARY.join(', ')} FROM jobs WHERE ${wanted} ORDER BY submitted_at DESC, job_id DESC LIMIT :most OFFSET :from`,
      { ...values, ':most': perPage, ':from': (page - 1) * perPage },
    );
    const count = this.#database.get(`SELECT count(*) AS total FROM jobs WHERE ${wanted}`, values);
    const { total } = z.object({ total: z.number() }).parse(count);
    return { jobs: z.array(summarySchema).parse(rows), total, page, per_page: perPage };
  }

  /** A job with its events, the oldest first; undefined when there is no such job. */
  get(jobId: string): (z.infer<typeof detailSchema> & { events: unknown[] }) | undefined {
    const row = this.#database.get(
      `SELECT ${[...SUMMARY, ...TEXTS, 'exit_code', ...JSONS].join(', ')} FROM jobs WHERE job_id = ?`,
      [jobId],
    );
    if (!row) return undefined;
    const events = this.#database.all('SELECT body FROM events WHERE job_id = ? ORDER BY id', [jobId]);
    const bodies = z.array(z.object({ body: z.string() })).parse(events);
    return { ...detailSchema.parse(row), events: bodies.map(({ body }): unknown => JSON.parse(body)) };
  }

  /** One transaction, which the disk takes once. */
  #together<T>(change: () => T): T {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const result = change();
      this.#database.exec('COMMIT');
      return result;
    } catch (error) {
      if (this.#database.inTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  #event(jobId: string, at: string, body: object): void {
    this.#database.run('INSERT INTO events (job_id, at, body) VALUES (?, ?, ?)', [
      jobId,
      at,
      JSON.stringify(body),
    ]);
    this.#database.run(
      'DELETE FROM events WHERE job_id = ? AND id <= (SELECT id FROM events WHERE job_id = ? ORDER BY id DESC LIMIT 1 OFFSET ?)',
      [jobId, jobId, MOST_EVENTS],
    );
  }
}

const kept = (column: string): string => `${column} = coalesce(:${column}, ${column})`;
