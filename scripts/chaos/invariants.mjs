import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { processesOf } from './processes.mjs';

const LEFT_MS = 20_000;
const over = ['stopped', 'failed'];
/** The transitions of the process machine (docs/ARCHITECTURE.md). An ended process may be wanted again. */
const ways = {
  waiting: ['preparing', 'stopped', 'failed'],
  preparing: ['starting', 'stopped', 'failed'],
  starting: ['ready', 'stopping', ...over],
  ready: ['degraded', 'stopping', ...over],
  degraded: ['ready', 'stopping', ...over],
  stopping: over,
};

/**
 * Checks that events.jsonl is possible: numbers without gap or repeat, times that do not go back, and only possible
 * transitions.
 */
export function eventProblems(jobDir, wasCut) {
  const file = join(jobDir, 'events.jsonl');
  if (!existsSync(file)) return [];
  const problems = [];
  const last = new Map();
  const times = new Map();
  const states = new Map();
  const lines = readFileSync(file, 'utf8').split('\n');
  // A killed coordinator may have been writing a line.
  if (lines.at(-1) === '' || wasCut) lines.pop();
  for (const [index, line] of lines.entries()) {
    let event;
    try {
      event = JSON.parse(line);
    } catch {
      problems.push(`events.jsonl:${index + 1} is not an event: ${line.slice(0, 80)}`);
      continue;
    }
    const { source, seq, kind, from, to } = event;
    const before = last.get(source) ?? 0;
    if (seq !== before + 1)
      problems.push(`events.jsonl:${index + 1}: ${source} ${before} is followed by ${seq}`);
    last.set(source, seq);
    const at = Date.parse(event.at);
    if (!(at >= (times.get(source) ?? 0)))
      problems.push(`events.jsonl:${index + 1}: ${source} ${seq} is dated before ${before}`);
    times.set(source, at);
    if (kind !== 'process.transition') continue;
    const key = `${source} ${event.process}`;
    const was = states.get(key);
    const possible =
      from === null ? was === undefined || over.includes(was) : was === from && ways[from]?.includes(to);
    // A predecessor with the same name may still be stopping while its successor waits.
    const isSuccessor = to === 'waiting' || states.get(`${key} successor`);
    if (!possible && !isSuccessor)
      problems.push(`events.jsonl:${index + 1}: ${event.process} ${from} → ${to}, but it was ${was}`);
    if (from === null && was !== undefined && !over.includes(was)) states.set(`${key} successor`, true);
    states.set(key, to);
  }
  return problems;
}

/** The results on disk, as text by file. */
export function resultsOf(jobDir) {
  const points = join(jobDir, 'points');
  const names = existsSync(points) ? readdirSync(points) : [];
  const files = names.map((name) => join(points, name, 'result.json')).filter((file) => existsSync(file));
  return new Map(files.map((file) => [file, readFileSync(file, 'utf8')]));
}

/** `points`: their number; `tookMs`: the duration of the whole run, by a monotonic clock. */
export function resultProblems(jobDir, finished, { exitCode, points, tookMs }) {
  const problems = [];
  const now = resultsOf(jobDir);
  for (const [file, text] of finished)
    if (now.get(file) !== text) problems.push(`${file} was finished, and has changed`);
  let done = 0;
  for (const [file, text] of now)
    try {
      const result = JSON.parse(text);
      const ms = Date.parse(result.finishedAt) - Date.parse(result.startedAt);
      if (!(ms >= 0 && ms <= tookMs)) problems.push(`${file} says that the point took ${ms} ms`);
      if (result.status === 'done' && result.benchmark.valid) done++;
      else if (result.status === 'failed' && !result.cause?.summary) problems.push(`${file} has no cause`);
    } catch {
      problems.push(`${file} is not whole`);
    }
  if ((exitCode === 0) !== (done === points))
    problems.push(`exit code ${exitCode}, with ${done} of ${points} points done`);
  return problems;
}

/** The damage of a fault that must be harmless. */
export function harmProblems(jobDir, exitCode) {
  const problems = exitCode === 0 ? [] : [`exit code ${exitCode}, for nothing that matters`];
  const file = join(jobDir, 'events.jsonl');
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  for (const [, node] of text.matchAll(/"node":"([^"]*)","from":"[^"]*","to":"lost"/g))
    problems.push(`the agent of ${node} was lost`);
  return problems;
}

const directoriesOf = (jobId, tmp) =>
  readdirSync(tmp).filter((name) => new RegExp(`^srtctl-\\d+-${jobId}-`).test(name));

/**
 * Processes of the job and its directories in `tmp` that still exist after the time for the cleanup. `before`:
 * directories that existed at the start. Slurm numbers its jobs, so an earlier lab may have had a job with the same id.
 */
export async function leftovers(jobId, tmp, before) {
  const until = performance.now() + LEFT_MS;
  for (;;) {
    const left = processesOf(jobId).map(({ pid, kind }) => `${kind} ${pid} is left`);
    const directories = directoriesOf(jobId, tmp).filter((name) => !before.includes(name));
    const all = [...left, ...directories.map((name) => `${join(tmp, name)} is left`)];
    if (all.length === 0 || performance.now() > until) return all;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
