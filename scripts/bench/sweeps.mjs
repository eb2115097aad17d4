// The costs of sweeps: turnaround between points, engine loads, memory of coordinator and agents, size of the files.
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { median, sleep } from './figures.mjs';
import { isPoint, startJob, writeRecipe } from './jobs.mjs';
import { allPids, commandLine, read, rssMb } from './processes.mjs';

/** A sweep on two nodes: `sweep` is the section's text, `server` and `benchmark` use its parameters. */
export function sweepRecipe({
  sweep,
  server = '',
  concurrencies = '2',
  isl = '64',
  osl = '16',
  requests = '1',
  nodes = 2,
}) {
  const half = nodes / 2;
  const flags = `{ served-model-name: bench, tensor-parallel-size: 4${server} }`;
  return `name: sweep
model: { path: bench, container: bench, precision: fp8 }
resources: { gpu_type: h100, gpus_per_node: 4, prefill_nodes: ${half}, decode_nodes: ${half}, prefill_workers: ${half}, decode_workers: ${half} }
frontend: { type: sglang, enable_multiple_frontends: false }
backend: { type: sglang, sglang_config: { prefill: ${flags}, decode: ${flags} } }
benchmark: { type: sa-bench, isl: ${isl}, osl: ${osl}, concurrencies: "${concurrencies}", req_rate: inf, num_prompts_mult: ${requests}, num_warmup_mult: 0 }
sweep: { ${sweep} }
`;
}

/** Coordinator and agents of a job, with their memory. The name of the job's directory identifies them. */
function memoryOf(jobDir) {
  const own = allPids().filter((pid) => commandLine(pid).includes(jobDir));
  const memory = (program) =>
    own
      .filter((pid) => commandLine(pid).includes(program))
      .map(rssMb)
      .filter(Number.isFinite);
  return { coordinator: memory('coordinator.js')[0] ?? 0, agents: memory('node-agent.js') };
}

/** How many points of a job have a result. */
export const resultsIn = (jobDir) => read(join(jobDir, 'results.jsonl')).split('\n').length - 1;

/** Memory and file sizes of a job after these numbers of points. */
async function measure(job, numbers) {
  const measured = [];
  for (const wanted of numbers) {
    while (!job.isOver() && !(job.jobDir() && resultsIn(job.jobDir()) >= wanted)) await sleep(50);
    if (job.isOver()) break;
    const jobDir = job.jobDir();
    const size = (name) => statSync(join(jobDir, name)).size;
    measured.push({
      done: resultsIn(jobDir),
      ...memoryOf(jobDir),
      events: size('events.jsonl'),
      state: size('state.json'),
    });
  }
  return measured;
}

/**
 * Runs a recipe, given as a file or text, to its end. `at`: numbers of points after which memory and files are
 * measured.
 */
export async function runSweep(recipe, { work, args = [], env = {}, at = [], limitMs = 900_000 }) {
  const file = recipe.includes('\n') ? writeRecipe(work, 'sweep-recipe', recipe) : recipe;
  const began = performance.now();
  const job = startJob(work, file, { args, env: { SRTCTL_SIM_SPEED: '50', ...env } });
  const limit = setTimeout(() => job.stop(), limitMs);
  try {
    const measured = await measure(job, at);
    const exitCode = await job.ended;
    const seconds = (performance.now() - began) / 1_000;
    return { exitCode, said: job.said(), events: job.events(), jobDir: job.jobDir(), measured, seconds };
  } finally {
    clearTimeout(limit);
    await job.stop();
  }
}

/** From the end of a point to the benchmark of the next one, ms, for points that restart no worker. */
export function turnarounds(events) {
  const steps = [];
  let doneAt = null;
  let started = 0;
  for (const event of events.toSorted((a, b) => Date.parse(a.at) - Date.parse(b.at))) {
    if (event.kind === 'process.transition' && event.to === 'waiting' && event.role !== 'benchmark')
      started++;
    if (event.kind !== 'point.transition') continue;
    if (event.to === 'done') {
      doneAt = Date.parse(event.at);
      started = 0;
    } else if (event.to === 'benchmarking' && doneAt !== null) {
      if (started === 0) steps.push(Date.parse(event.at) - doneAt);
      doneAt = null;
    }
  }
  return steps;
}

/** From the end of a point to the start of the next one's load generator, ms. */
export function turnaroundsToSpawn(events) {
  const dones = events.filter(isPoint('done'));
  const runs = events.filter(
    (event) => event.kind === 'process.transition' && event.process === 'benchmark' && event.to === 'ready',
  );
  return dones.flatMap(({ at }) => {
    const next = runs.find((run) => Date.parse(run.at) >= Date.parse(at));
    return next ? [Date.parse(next.at) - Date.parse(at)] : [];
  });
}

export const loadsOf = (events, process) =>
  new Set(
    events
      .filter(
        (event) => event.kind === 'process.transition' && event.process === process && event.pid !== null,
      )
      .map(({ pid }) => pid),
  ).size;

/** The row of `npm run bench`: nine points that restart nothing. */
export async function turnaroundFigures(work) {
  const recipe = sweepRecipe({ sweep: 'isl: [32, 40, 48, 56, 64, 72, 80, 88, 96]', isl: '"{isl}"' });
  const { events, exitCode, said } = await runSweep(recipe, { work });
  if (exitCode !== 0) throw new Error(`the sweep ended with ${exitCode}: ${said}`);
  const [states, spawns] = [turnarounds(events), turnaroundsToSpawn(events)];
  return {
    median: median(states),
    worst: Math.max(...states),
    spawned: median(spawns),
    count: states.length,
  };
}
