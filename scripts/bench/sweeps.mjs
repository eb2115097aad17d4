// What sweeps cost: turnaround between points, engine loads, memory of coordinator and agents, size of the files.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

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

/** Coordinator and agents of a job, which its directory's name tells from all others, with their memory. */
function memoryOf(jobDir) {
  const found = { coordinator: 0, agents: [] };
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
      if (!line.includes(jobDir)) continue;
      const rss = Number(readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)[1]) / 1024;
      if (line.includes('coordinator.js')) found.coordinator = rss;
      if (line.includes('node-agent.js')) found.agents.push(rss);
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}

/** Runs a recipe to its end. `at`: numbers of points after which memory and file sizes are measured. */
export async function runSweep(recipe, { work, args = [], env = {}, at = [], limitMs = 900_000 }) {
  const outputs = mkdtempSync(join(work, 'sweep-'));
  const file = recipe.includes('\n') ? join(outputs, '../sweep-recipe.yaml') : recipe.split(':')[0];
  if (recipe.includes('\n')) writeFileSync(file, recipe);
  const target = recipe.includes('\n') ? file : recipe;
  const began = performance.now();
  const child = spawn(
    process.execPath,
    [join(root, 'dist/srtctl.js'), 'apply', '-f', target, '--local', '--mock', ...args],
    {
      env: {
        ...process.env,
        SRTCTL_SIM_LOAD_MS: '0',
        SRTCTL_SIM_SPEED: '50',
        ...env,
        SRTCTL_OUTPUT: outputs,
      },
    },
  );
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (data) => (said = (said + data).slice(-2_000)));
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const jobDir = () => {
    const [name] = readdirSync(outputs);
    return name && join(outputs, name);
  };
  const measured = [];
  const waiting = [...at];
  while (child.exitCode === null && child.signalCode === null) {
    if (performance.now() - began > limitMs) child.kill('SIGTERM');
    const dir = jobDir();
    const results = dir && join(dir, 'results.jsonl');
    if (waiting.length > 0 && results && existsSync(results)) {
      const done = readFileSync(results, 'utf8').split('\n').length - 1;
      if (done >= waiting[0]) {
        const size = (name) => statSync(join(dir, name)).size;
        const sizes = {
          events: size('events.jsonl'),
          state: size('state.json'),
          results: size('results.jsonl'),
        };
        measured.push({ done, ...memoryOf(dir), ...sizes });
        waiting.shift();
      }
    }
    await sleep(waiting.length > 0 ? 50 : 200);
  }
  const exitCode = await ended;
  const dir = jobDir();
  const events = dir && existsSync(join(dir, 'events.jsonl')) ? readEvents(join(dir, 'events.jsonl')) : [];
  return { exitCode, said, events, jobDir: dir, measured, seconds: (performance.now() - began) / 1_000 };
}

const readEvents = (file) =>
  readFileSync(file, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line));

/** From the end of a point to the next one's benchmark, ms, for points that restart no worker. */
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

/** From the end of a point to the moment at which the next one's load generator runs, ms. */
export function turnaroundsToSpawn(events) {
  const dones = events.filter((event) => event.kind === 'point.transition' && event.to === 'done');
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

export const temporary = () => mkdtempSync(join(tmpdir(), 'srtctl-bench-'));
