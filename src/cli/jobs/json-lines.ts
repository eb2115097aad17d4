import type { JobSpec } from '../../messages/job-directory/job-files.ts';
import { plain } from '../terminal/text.ts';

/** Lines of `apply --json`, documented in docs/reference/cli.md; keys are added, and never change. */
export const submittedLine = (
  { jobId, jobDir, name, mode, serveOnly }: JobSpec,
  nodes: number,
): Record<string, unknown> => ({
  ...{ kind: 'submitted', jobId, jobDir, name, nodes, mode },
  ...(serveOnly ? { serveOnly: true } : {}),
});

export interface JobEnd {
  readonly exitCode: number;
  /** The first failure in one line; null when there was none. */
  readonly cause: string | null;
}

const endedLine = ({ jobId, jobDir, name, serveOnly }: JobSpec, { exitCode, cause }: JobEnd) => ({
  ...{ kind: 'ended', jobId, jobDir, name, exitCode },
  outcome: exitCode !== 0 ? 'failed' : serveOnly ? 'served' : 'done',
  cause,
});

export const sayLine = (value: unknown): void => void process.stdout.write(`${JSON.stringify(value)}\n`);

/** The end of a job that was awaited, for programs or for people. */
export function sayEnd(spec: JobSpec, end: JobEnd, json: boolean): void {
  const line = endedLine(spec, end);
  const why = end.cause === null ? '' : `: ${plain(end.cause)}`;
  if (json) sayLine(line);
  else process.stdout.write(`job ${spec.jobId}: ${line.outcome} (exit code ${end.exitCode})${why}\n`);
}
