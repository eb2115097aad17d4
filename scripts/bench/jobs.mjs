// Runs srtctl for benches, as `make build` has built it.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { read, until } from './processes.mjs';

export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
export const srtctl = join(root, 'dist/srtctl.js');
/** The directory of the public recipes. */
export const publicRecipes = join(root, '../shared/recipes');
/** A job that does not end when asked is killed after this time. */
const END_MS = 60_000;

/** Calls `measure` with a temporary directory. */
export async function withDirectory(measure) {
  const work = mkdtempSync(join(tmpdir(), 'srtctl-bench-'));
  try {
    return await measure(work);
  } finally {
    if (!process.env.BENCH_KEEP) rmSync(work, { recursive: true, force: true });
  }
}

/** Writes a recipe and returns its path. */
export function writeRecipe(work, name, text) {
  const file = join(work, `${name}.yaml`);
  writeFileSync(file, text);
  return file;
}

export const readEvents = (jobDir) =>
  read(join(jobDir, 'events.jsonl'))
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));

export const isPoint = (state) => (event) => event.kind === 'point.transition' && event.to === state;

/** Runs a recipe on this machine with simulated engines; outputs go below `work`. */
export function startJob(work, recipe, { args = [], env = {} } = {}) {
  const outputs = mkdtempSync(join(work, 'out-'));
  const child = spawn(process.execPath, [srtctl, 'apply', '-f', recipe, '--local', '--mock', ...args], {
    cwd: root,
    env: { ...process.env, SRTCTL_SIM_LOAD_MS: '0', ...env, SRTCTL_OUTPUT: outputs },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data) => {
      said = (said + data).slice(-2_000);
    });
  const ended = new Promise((resolve) => child.once('exit', (code) => resolve(code)));
  const isOver = () => child.exitCode !== null || child.signalCode !== null;
  const jobId = () => readdirSync(outputs)[0];
  const jobDir = () => jobId() && join(outputs, jobId());
  const events = () => (jobDir() ? readEvents(jobDir()) : []);
  /** The first matching event, even when the job has ended with that event. */
  const event = async (wanted, ms = 120_000) => {
    await until(() => isOver() || events().some(wanted), { ms, everyMs: 20 });
    const found = events().find(wanted);
    if (!found)
      throw new Error(`in vain waited for an event of the job (exit code ${child.exitCode}): ${said}`);
    return found;
  };
  const stop = async (signal = 'SIGTERM') => {
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), END_MS);
    const code = await ended;
    clearTimeout(timer);
    return code;
  };
  return { child, ended, isOver, jobId, jobDir, events, event, stop, said: () => said };
}

/** Runs a recipe until its benchmark runs, calls `measure`, and ends the job. */
export async function withJob(work, recipe, options, measure) {
  const job = startJob(work, recipe, options);
  try {
    const began = await job.event(isPoint('benchmarking'));
    return await measure(job, began);
  } finally {
    await job.stop();
  }
}

export const havePublicRecipes = () => existsSync(publicRecipes);
