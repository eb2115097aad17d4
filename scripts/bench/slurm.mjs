// Measures the time from the start of the batch script until all engines run and the benchmark begins. Compares the
// coordinator with its one srun and static mode with an srun for each process, in turn in one Slurm lab. `npm run
// bench:slurm` after `make build`, as root; see test/slurm-lab/README.md. Arguments: numbers of nodes (default 8 32).
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { startLab } from '../chaos/lab.mjs';
import { machine, median, seconds } from './figures.mjs';
import { readEvents, root, srtctl, withDirectory, writeRecipe } from './jobs.mjs';
import { allPids, beganAt, commandLine, cpuMs, read, until } from './processes.mjs';

const RUNS = Number(process.env.BENCH_RUNS ?? 3);
const sizes = process.argv.slice(2).map(Number);
if (sizes.length === 0) sizes.push(8, 32);
/** Seconds: the limit for the orchestrator. */
const AIMS = { 8: 3, 32: 6 };
const RUN_TIMEOUT_MS = 150_000;

function run(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', ...options });
  if (status !== 0)
    throw new Error(`${command} ${args.join(' ')} ended with ${status}: ${error ?? stderr}${stdout}`);
  return stdout;
}

/** Two engines on each node, one router, and a benchmark that only reports its begin. */
const recipe = (work, nodes) => `name: bench-${nodes}
model: {path: ${work}, container: none, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 8, agg_nodes: ${nodes}, agg_workers: ${2 * nodes}, gpus_per_agg: 4}
frontend: {type: sglang, enable_multiple_frontends: false}
backend: {sglang_config: {aggregated: {served-model-name: bench, tensor-parallel-size: 4}}}
benchmark: {type: custom, command: 'date +%s%3N >"$SRT_RESULT_DIR/began"'}
slurm: {time_limit: "00:10:00"}
`;

/** The start of the batch script that runs now, ms since the epoch. */
function batchScriptBegan() {
  const pid = allPids().find((each) => commandLine(each).includes('/slurm_script'));
  const began = pid && beganAt(pid);
  return Number.isFinite(began) ? began : undefined;
}

/** CPU time that the agents have used so far, ms, on average. */
function agentCpuMs() {
  const isAgent = (line) => /^\S*node\0/.test(line) && line.includes('node-agent.js');
  const used = allPids()
    .filter((pid) => isAgent(commandLine(pid)))
    .map(cpuMs)
    .filter(Number.isFinite);
  return used.length > 0 ? used.reduce((sum, ms) => sum + ms, 0) / used.length : undefined;
}

async function mustBe(what, holds) {
  const value = await until(holds, { ms: RUN_TIMEOUT_MS, everyMs: 50 });
  if (!value) throw new Error(`waited in vain for: ${what}`);
  return value;
}

const MODES = {
  orchestrator: { args: [], env: {} },
  'static, polls each 10 s': { args: ['--no-use-orchestrator'], env: {} },
  'static, polls each second': { args: ['--no-use-orchestrator'], env: { SRTCTL_STATIC_POLL_SECONDS: '1' } },
};

/** Submits a recipe and returns the job's directory. */
function submit(work, recipeFile, mode, env) {
  const outputs = mkdtempSync(join(work, 'out-'));
  const said = run(process.execPath, [srtctl, 'apply', '-f', recipeFile, '--json', ...MODES[mode].args], {
    env: { ...env, ...MODES[mode].env, SRTCTL_OUTPUT: outputs },
    cwd: work,
  });
  return JSON.parse(said.split('\n')[0]);
}

/** The moments of the coordinator's start, ms after `began`; nothing in static mode. */
function momentsOf(jobDir, began) {
  const events = readEvents(jobDir);
  const last = (wanted) => {
    const times = events.filter(wanted).map((event) => Date.parse(event.at) - began);
    return times.length > 0 ? Math.max(...times) : undefined;
  };
  return {
    bus: last(({ kind, from }) => kind === 'sweep.transition' && from === null),
    joined: last(({ kind, to }) => kind === 'agent.transition' && to === 'joined'),
  };
}

/** The benchmark has begun when it has reported so; the benchmark of a failed run never begins. */
function benchmarkBegan(beganFile, jobDir, jobId) {
  const state = JSON.parse(read(join(jobDir, 'state.json')) || 'null');
  if (state?.sweep === 'finished' && state.exitCode !== 0)
    throw new Error(
      `the run failed: ${state.cause?.summary}\n${read(join(jobDir, `logs/sweep_${jobId}.log`))}`,
    );
  return read(beganFile) !== '';
}

/** Runs one job. Times in ms after the start of its batch script. */
async function measure(work, mode, nodes, slurmEnv) {
  const spawned = mkdtempSync(join(work, 'spawned-'));
  const file = writeRecipe(work, `${nodes}`, recipe(work, nodes));
  const { jobId, jobDir } = submit(work, file, mode, { ...slurmEnv, BENCH_SPAWNED: spawned });
  try {
    const began = await mustBe('the batch script', batchScriptBegan);
    const beganFile = join(jobDir, `points/00-bench-${nodes}/began`);
    await mustBe('the benchmark', () => benchmarkBegan(beganFile, jobDir, jobId));
    const agentMs = agentCpuMs();
    const engines = readdirSync(spawned).map((name) => Number(read(join(spawned, name))) - began);
    if (engines.length !== 2 * nodes + 1) throw new Error(`${engines.length} engines and routers`);
    return {
      spawned: Math.max(...engines),
      benchmark: Number(read(beganFile)) - began,
      agentMs,
      ...momentsOf(jobDir, began),
    };
  } finally {
    const isGone = () => run('squeue', ['-h', '-o', '%i'], { env: slurmEnv }).trim() === '';
    if (!(await until(isGone, { ms: 20_000, everyMs: 100 })))
      spawnSync('scancel', [jobId], { env: slurmEnv });
  }
}

/** The stand-in of all engines as python3, and the cluster config: the environment of submitted jobs. */
function prepare(work, labEnv) {
  mkdirSync(join(work, 'bin'));
  const engine = join(work, 'bin/python3');
  const python = run('python3', ['-c', 'import sys; print(sys.executable)']).trim();
  run('gcc', ['-O1', '-Wall', '-Werror', '-o', engine, join(root, 'scripts/bench/engine.c')]);
  writeFileSync(
    join(work, 'srtslurm.yaml'),
    'container_runtime: none\nuse_gpus_per_node_directive: false\nuse_segment_sbatch_directive: false\n',
  );
  return {
    ...process.env,
    ...labEnv,
    SRTSLURM_CONFIG: join(work, 'srtslurm.yaml'),
    PATH: `${join(work, 'bin')}:${join(root, '.srtctl/bin')}:${process.env.PATH}`,
    BENCH_PYTHON: python,
  };
}

/** Prints the results of all modes with this many nodes; returns the orchestrator's time to the benchmark. */
function report(nodes, results) {
  const of = (mode, figure) => median(results[mode].map((result) => result[figure]));
  const own = (figure) => of('orchestrator', figure);
  const title = `${nodes} nodes, ${2 * nodes} workers`;
  console.log(`${title.padEnd(32)}${'all engines run'.padEnd(18)}benchmark begins`);
  for (const mode of Object.keys(MODES))
    console.log(
      `  ${mode.padEnd(30)}${seconds(of(mode, 'spawned')).padEnd(18)}${seconds(of(mode, 'benchmark'))}`,
    );
  for (const mode of Object.keys(MODES).slice(1)) {
    const ratio = (figure) => `${(of(mode, figure) / own(figure)).toFixed(2)} ×`;
    console.log(`  ${`${mode} / orchestrator`.padEnd(42)}${ratio('spawned')}, ${ratio('benchmark')}`);
  }
  console.log(
    `  orchestrator: bus at ${seconds(own('bus'))}, last agent joined at ${seconds(own('joined'))}; CPU of an agent until then ${own('agentMs').toFixed(0)} ms, of all ${seconds(own('agentMs') * nodes)} on ${cpus().length} cores`,
  );
  if (AIMS[nodes]) console.log(`  aim: benchmark begins within ${AIMS[nodes]} s\n`);
  return own('benchmark');
}

async function compare(work, slurmEnv) {
  const most = Math.max(...sizes);
  console.log(`${machine()}; ${most} nodes of the lab on it`);
  console.log(`medians of ${RUNS} runs, from the start of the batch script\n`);
  const medians = {};
  for (const nodes of sizes) {
    const results = Object.fromEntries(Object.keys(MODES).map((mode) => [mode, []]));
    for (let round = 0; round < RUNS; round++)
      for (const mode of Object.keys(MODES)) results[mode].push(await measure(work, mode, nodes, slurmEnv));
    medians[nodes] = report(nodes, results);
  }
  const few = Math.min(...sizes);
  if (few < most)
    console.log(
      `orchestrator, ${few} to ${most} nodes: ${(medians[most] / medians[few]).toFixed(2)} × the time for ${(most / few).toFixed(1)} × the nodes`,
    );
}

await withDirectory(async (work) => {
  const lab = startLab(Math.max(...sizes));
  try {
    await compare(work, prepare(work, lab.env));
  } finally {
    lab.down();
  }
});
