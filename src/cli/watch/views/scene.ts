import type { Cause } from '../../../messages/job-directory/result.ts';
import type { Engines } from '../model/engine-figures.ts';
import type { Gpus } from '../model/gpus.ts';
import type { JobHistory } from '../model/job-history.ts';
import type { JobLine } from '../model/job-line.ts';
import type { SlowNode } from '../model/slow-nodes.ts';
import type { Level } from '../model/ui.ts';
import { type Row, row, type Size } from './rows.ts';

/** Where a job's events come from. */
export type Link =
  | 'connecting'
  | 'live'
  /** The bus cannot be reached, so its files are read. */
  | 'files'
  | 'over';

/** A job as its pages show it. */
export interface JobScene {
  readonly jobId: string;
  readonly jobDir: string;
  readonly name: string;
  readonly link: Link;
  /** Its state in Slurm's queue with the reason; null when it is not there. */
  readonly queue: string | null;
  readonly exitCode: number | null;
  /** The first failure. */
  readonly cause: Cause | null;
  readonly history: JobHistory;
  readonly engines: Engines;
  readonly gpus: Gpus;
  readonly slow: readonly SlowNode[];
}

/** How a process was started. */
export interface Command {
  /** A line for a shell. */
  readonly line: string;
  /** NAME=value, without secret values. */
  readonly environment: readonly string[];
}

/** The process whose page is open. */
export interface ProcessScene {
  /** Lines of its log. */
  readonly log: readonly string[];
  readonly command: Command | string;
}

/** The jobs and where they are. */
export interface JobsScene {
  readonly root: string;
  readonly lines: readonly JobLine[];
  /** The list has been read once. */
  readonly isRead: boolean;
}

export interface Scene {
  readonly jobs: JobsScene;
  readonly job: JobScene | null;
  readonly process: ProcessScene | null;
  /** ms since 1970. */
  readonly now: number;
}

/** A page as rows, and what keys need to know of it. */
export interface Drawn {
  readonly title: Row;
  readonly rows: readonly Row[];
  readonly ids: readonly string[];
  readonly count: number;
  readonly height: number;
  readonly offset: number;
  readonly matches: readonly number[];
}

/** A page whose job has not been read yet. */
export const empty = (size: Size): Drawn => ({
  ...{ title: row(''), rows: [row('reading …', 'dim')], ids: [], count: 0 },
  ...{ height: Math.max(1, size.rows), offset: 0, matches: [] },
});

export type View = (scene: Scene, level: Level, size: Size) => Drawn;
