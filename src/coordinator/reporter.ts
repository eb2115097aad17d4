import { spawn } from 'node:child_process';
import type { Logger } from 'pino';
import { childHandle, type ProcessHandle } from '../os/processes/process-handle.ts';
import { isReported, reportingSecrets } from '../recipe/schema/reporting.ts';
import type { Recipe } from '../recipe/schema/schema.ts';

/** How long the last reports may take when the run has ended. */
const LAST_REPORTS_MS = 10_000;
/** How long they may take with an upload of the job's files. */
const UPLOAD_MS = 10 * 60_000;
/** What is left of the allocation for the end of the coordinator. */
const RESERVE_MS = 10_000;
/** How much longer than its limit the reporter may live. */
const OVERTIME_MS = 1_000;

export interface ReporterOptions {
  /** The program (dist/reporter.js). */
  readonly script: string;
  /** <job id>.json */
  readonly specFile: string;
  /** The recipe that says where the run is reported. */
  readonly recipe: Pick<Recipe, 'reporting' | 'observability'> | undefined;
  /** Secrets of reporting are removed from it, so that no agent and no engine inherits them. */
  readonly env: NodeJS.ProcessEnv;
  readonly mark?: ((argv: readonly string[]) => string[]) | undefined;
  readonly began: (pid: number) => void;
  readonly over: (pid: number) => void;
  readonly log: Pick<Logger, 'info' | 'warn'>;
}

/** The process that reports a run to others. The run neither waits for it nor depends on it. */
export interface Reporter {
  /**
   * The run is over, and its files are written. Resolves when everything is reported, at the latest after a limit.
   * @param endsAt when the allocation ends, ms since 1970
   */
  finish(now: number, endsAt: number | null): Promise<void>;
  /** Someone waits for the end: what is not reported yet is left out. */
  giveUp(): void;
}

/** Starts the reporter of a recipe that asks for one. It follows the job's files by itself. */
export function startReporter({
  script,
  specFile,
  recipe,
  env,
  mark,
  began,
  over,
  log,
}: ReporterOptions): Reporter {
  if (!recipe || !isReported(recipe)) return { finish: () => Promise.resolve(), giveUp: () => undefined };
  const argv = [process.execPath, script, specFile];
  const [command = '', ...args] = mark?.(argv) ?? argv;
  const child = spawn(command, args, {
    detached: true,
    env: { ...env },
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  for (const name of reportingSecrets(recipe.reporting)) delete env[name];
  // It may end before it has read its input.
  child.stdin.on('error', () => undefined);
  const reporter: ProcessHandle = childHandle(child);
  let isFinishing = false;
  if (reporter.pid > 0) began(reporter.pid);
  void reporter.ended.then((how) => {
    if (reporter.pid > 0) over(reporter.pid);
    if (!isFinishing)
      log.warn({ how }, 'the reporter has ended: the run goes on, and nothing more is reported');
  });
  return {
    async finish(now, endsAt) {
      isFinishing = true;
      if (reporter.hasEnded) return;
      const most = recipe.reporting?.s3 ? UPLOAD_MS : LAST_REPORTS_MS;
      const ms = Math.max(LAST_REPORTS_MS, Math.min(most, (endsAt ?? Infinity) - now - RESERVE_MS));
      log.info({ seconds: ms / 1_000 }, 'the last reports are sent');
      child.stdin.end(`finish ${Math.round(ms)}\n`);
      const timer = setTimeout(() => reporter.kill('SIGKILL'), ms + OVERTIME_MS);
      await reporter.ended;
      clearTimeout(timer);
    },
    giveUp: () => {
      if (isFinishing) reporter.kill('SIGKILL');
    },
  };
}
