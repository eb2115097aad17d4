import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { RunningJob, SRTCTL } from './job.ts';
import { removeLeftovers } from './leftovers.ts';

/** Simulated engines with a short load time and high speed. */
const FAST = { SRTCTL_SIM_LOAD_MS: '100', SRTCTL_SIM_SPEED: '10' };
/**
 * On a busy machine agents are silent for longer than the defaults allow. Tests about silence use
 * `useJobs(DEFAULT_LIMITS)`.
 */
const PATIENT = { SRTSLURM_CONFIG: resolve(import.meta.dirname, 'patient.yaml') };
/** The same limits as for users. */
export const DEFAULT_LIMITS = { SRTSLURM_CONFIG: '' };

type Environment = Readonly<Record<string, string>>;
interface Ways {
  readonly args?: readonly string[];
  readonly env?: Environment;
  /** The outputs of another job, to resume it. */
  readonly outputs?: string;
}

/**
 * Jobs on this machine for the tests of one file, below one temporary directory. After each test everything
 * that it started is ended, even when the test failed. All jobs get `env`.
 */
export function useJobs(env: Environment = {}) {
  let directory = '';
  const started: RunningJob[] = [];
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'srtctl-test-'));
  });
  const endAll = async (): Promise<void> => {
    const over = started.splice(0);
    await Promise.all(over.map((job) => job.stop()));
    for (const outputs of new Set(over.map((job) => job.outputs)))
      for (const jobId of existsSync(outputs) ? await readdir(outputs) : [])
        if (jobId.startsWith('local-')) await removeLeftovers(jobId);
  };
  afterEach(endAll);
  afterAll(async () => {
    await endAll();
    await rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  });

  /** Starts a command of srtctl beside the test. */
  async function start(args: readonly string[], ways: Omit<Ways, 'args'> = {}): Promise<RunningJob> {
    const outputs = ways.outputs ?? (await mkdtemp(join(directory, 'out-')));
    const job = new RunningJob(outputs, args, { ...FAST, ...PATIENT, ...env, ...ways.env });
    started.push(job);
    return job;
  }

  /** Runs a recipe with simulated engines. */
  const apply = (recipe: string, { args = [], ...ways }: Ways = {}): Promise<RunningJob> =>
    start(['apply', '-f', recipe, '--local', '--mock', ...args], ways);

  return {
    /** A directory for files of the tests. */
    get dir(): string {
      return directory;
    },
    start,
    apply,
    endAll,
    /** Runs a recipe until its benchmark has sent requests. */
    async inBenchmark(recipe: string, ways?: Ways): Promise<RunningJob> {
      const job = await apply(recipe, ways);
      await job.benchmarking();
      return job;
    },
    /** Runs a command of srtctl on the jobs in `outputs`, to its end. */
    run(outputs: string, args: readonly string[]) {
      return spawnSync(process.execPath, [SRTCTL, ...args], {
        env: { ...process.env, ...FAST, ...PATIENT, ...env, SRTCTL_OUTPUT: outputs },
        encoding: 'utf8',
      });
    },
  };
}
