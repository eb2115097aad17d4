// Measures speed and memory, absolute and as ratios against a baseline of the same moment. `npm run bench` after `make
// build`.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { buildSync } from 'esbuild';
import { machine, median, milliseconds, sleep, table } from './figures.mjs';
import {
  havePublicRecipes,
  publicRecipes,
  root,
  srtctl,
  startJob,
  withDirectory,
  withJob,
  writeRecipe,
} from './jobs.mjs';
import { loadgenFigures } from './loadgen.mjs';
import { agentOf, cpuMs, rssMb } from './processes.mjs';
import { turnaroundFigures } from './sweeps.mjs';

const quickstart = join(root, 'examples/quickstart.yaml');
const row = table(58, 28);
/** Every so many of the public recipes is planned alone. */
const RECIPES_APART = 25;
/** How long agents are measured after they have settled. */
const SETTLE_MS = 5_000;
const WATCH_MS = 30_000;

/** Largest resident memory of a command, which reports the value at its end. */
function peakMemoryMb(command) {
  const tell = "process.on('exit',()=>process.stderr.write('rss '+process.resourceUsage().maxRSS))";
  const { stderr } = spawnSync(process.execPath, ['--import', `data:text/javascript,${tell}`, ...command], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  });
  return Number(/rss (\d+)$/.exec(stderr)?.[1]) / 1024;
}

/** Wall time of two commands in turn, ms: the medians, and the median of the ratios of the pairs. */
function pairwise(command, baseline, runs = 11) {
  const time = (argv) => {
    const start = performance.now();
    const { status, stderr } = spawnSync(process.execPath, argv, {
      cwd: root,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    if (status !== 0) throw new Error(`${argv.join(' ')} ended with ${status}: ${stderr}`);
    return performance.now() - start;
  };
  time(command);
  time(baseline);
  const pairs = Array.from({ length: runs }, () => [time(command), time(baseline)]);
  return {
    ms: median(pairs.map(([a]) => a)),
    baselineMs: median(pairs.map(([, b]) => b)),
    ratio: median(pairs.map(([a, b]) => a / b)),
  };
}

/** The results of a run through router, prefill and decode worker, and the prediction of the simulator's model. */
async function speedModel(work) {
  const model = join(work, 'speed-model.mjs');
  buildSync({
    entryPoints: [join(root, 'src/simulator/engine/speed-model.ts')],
    outfile: model,
    format: 'esm',
  });
  const { expectedTtftMs, expectedTpotMs } = await import(pathToFileURL(model));
  const text = readFileSync(quickstart, 'utf8')
    .replace(/concurrencies: .*/, 'concurrencies: 1')
    .replace('isl: 512', 'isl: 1024')
    .replace('num_prompts_mult: 6', 'num_prompts_mult: 20')
    .replace('num_warmup_mult: 1', 'num_warmup_mult: 5');
  const job = startJob(work, writeRecipe(work, 'one', text));
  const { result } = await job.event(({ kind }) => kind === 'point.result');
  await job.ended;
  const [serving] = result.benchmark.serving;
  const promptTokens = serving.inputTokens / serving.requests;
  const compare = (figure, expected) =>
    `${figure.mean.toFixed(2)} ms, ${(figure.mean / expected).toFixed(3)} ×`;
  const ttft = compare(serving.ttftMs, expectedTtftMs({ promptTokens, disaggregated: true }));
  const tpot = compare(serving.tpotMs, expectedTpotMs({ batch: 1 }));
  row('TTFT at concurrency 1, against the speed model', ttft, 'aim: within 5 %');
  row('TPOT at concurrency 1, against the speed model', tpot, 'aim: within 5 %');
}

function planning() {
  const dryRun = pairwise([srtctl, 'dry-run', '-f', quickstart], ['-e', '0']);
  row(
    'dry-run of one recipe, against node -e 0',
    `${milliseconds(dryRun.ms)}, ${dryRun.ratio.toFixed(2)} ×`,
    'aim: under 2.5 ×',
  );
  if (!havePublicRecipes())
    return console.log('all public recipes: left out, ../shared/recipes is not there');
  eachRecipe();
  const plan = [srtctl, 'dry-run', '-f', publicRecipes, '--json'];
  const many = pairwise(plan, ['-e', '0'], 3);
  row(
    'all public recipes planned in one call',
    `${milliseconds(many.ms)} (${many.ratio.toFixed(1)} × node -e 0)`,
    'under 5000 ms',
  );
  row('  peak memory', `${peakMemoryMb(plan).toFixed(0)} MB`, 'under 300 MB');
}

/** Some of the public recipes of both layouts, each in a call of its own. */
function eachRecipe() {
  const files = [publicRecipes, `${publicRecipes}-v2`].filter(existsSync).flatMap((directory) =>
    readdirSync(directory, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.yaml'))
      .sort()
      .filter((_, at) => at % RECIPES_APART === 0)
      .map((name) => join(directory, name)),
  );
  const ratios = files
    .map((file) => {
      const plan = [srtctl, '--allow-duplicate-keys', 'dry-run', '-f', file];
      return { file, ratio: pairwise(plan, ['-e', '0'], 3).ratio };
    })
    .sort((a, b) => b.ratio - a.ratio);
  const [worst] = ratios;
  if (!worst) return;
  const middle = median(ratios.map(({ ratio }) => ratio));
  row(
    `  of ${files.length} public recipes, each against node -e 0`,
    `${middle.toFixed(2)} ×, at most ${worst.ratio.toFixed(2)} ×`,
    `aim: under 2.5 × (${relative(root, worst.file)})`,
  );
}

async function starting(work) {
  const starts = [];
  for (let run = 0; run < 5; run++) {
    const before = Date.now();
    const began = (_, { at }) => Date.parse(at) - before;
    starts.push(await withJob(work, quickstart, { env: { SRTCTL_SIM_SPEED: '20' } }, began));
  }
  row('apply to benchmark start, 4 nodes, load time 0', `${median(starts)} ms`, 'aim: under 3,000 ms');
}

async function turnaround(work) {
  const { median: usual, worst, spawned } = await turnaroundFigures(work);
  row(
    'from a point to the next that restarts nothing',
    `${usual} ms, at worst ${worst} ms`,
    'aim: under 150 ms',
  );
  row('  to its load generator running', `${spawned} ms`, '');
}

/** Eight single-GPU workers on node1 that stay up and idle; node2 has an agent without processes. */
async function agents(work) {
  const recipe = `name: eight
model: { path: bench, container: bench, precision: fp8 }
resources: { gpu_type: h100, gpus_per_node: 8, agg_nodes: 1, agg_workers: 8 }
frontend: { type: sglang, enable_multiple_frontends: false }
backend: { type: sglang, sglang_config: { aggregated: { served-model-name: bench, tensor-parallel-size: 1 } } }
benchmark: { type: manual }
`;
  await withJob(work, writeRecipe(work, 'eight', recipe), { args: ['--nodes', '2'] }, async (job) => {
    await sleep(SETTLE_MS);
    const [busy, idle] = ['node1', 'node2'].map((node) => agentOf(job.jobId(), node));
    const before = new Map([busy, idle].map((pid) => [pid, cpuMs(pid)]));
    await sleep(WATCH_MS);
    const percent = (pid) => `${((100 * (cpuMs(pid) - before.get(pid))) / WATCH_MS).toFixed(2)} % of a core`;
    row('agent, idle: memory', `${rssMb(idle).toFixed(1)} MB RSS`, 'aim: under 75 MB');
    row('agent, idle: CPU', percent(idle), '');
    row('agent with 8 healthy processes and a router: memory', `${rssMb(busy).toFixed(1)} MB RSS`, '');
    row('agent with 8 healthy processes and a router: CPU', percent(busy), 'aim: under 1 %');
  });
}

console.log(`${machine()}\n`);
await withDirectory(async (work) => {
  planning();
  await starting(work);
  await turnaround(work);
  await speedModel(work);
  await agents(work);
  await loadgenFigures();
});
