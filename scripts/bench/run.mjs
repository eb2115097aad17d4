// Speed and memory, absolute and as ratios against a baseline of the same moment. `npm run bench` after `make build`.
import { spawn, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { buildSync } from 'esbuild';
import { turnaroundFigures } from './sweeps.mjs';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const srtctl = join(root, 'dist/srtctl.js');
const quickstart = join(root, 'examples/quickstart.yaml');
const shared = join(root, '../shared/recipes');
const work = mkdtempSync(join(tmpdir(), 'srtctl-bench-'));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const row = (what, value, aim) => console.log(`${what.padEnd(58)} ${value.padEnd(28)} ${aim}`);

/** Largest resident memory of a command, which says it itself as it ends. */
function peakMemoryMb(command) {
  const tell = "process.on('exit',()=>process.stderr.write('rss '+process.resourceUsage().maxRSS))";
  const { stderr } = spawnSync(process.execPath, ['--import', `data:text/javascript,${tell}`, ...command], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'pipe'],
    encoding: 'utf8',
  });
  return Number(/rss (\d+)$/.exec(stderr)?.[1]) / 1024;
}

/** Wall time of two commands in turn, ms: medians, and the median of the ratios pair by pair. */
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

function startJob(recipe, args, env) {
  const outputs = mkdtempSync(join(work, 'out-'));
  const child = spawn(process.execPath, [srtctl, 'apply', '-f', recipe, '--local', '--mock', ...args], {
    env: { ...process.env, ...env, SRTCTL_OUTPUT: outputs },
    stdio: 'ignore',
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const events = () => {
    const [jobId] = readdirSync(outputs);
    const file = jobId && join(outputs, jobId, 'events.jsonl');
    if (!file || !existsSync(file)) return [];
    return readFileSync(file, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  };
  const event = async (wanted) => {
    for (let tries = 0; tries < 2400; tries++) {
      const found = events().find(wanted);
      if (found) return found;
      if (child.exitCode !== null) throw new Error(`the job ended with ${child.exitCode}`);
      await sleep(50);
    }
    throw new Error('the job takes too long');
  };
  const pointReached = (to) => event(({ kind, to: state }) => kind === 'point.transition' && state === to);
  return { child, ended, event, pointReached };
}

/** What a run through router, prefill and decode worker measured, and the simulator's own model of it. */
async function againstSpeedModel() {
  const model = join(work, 'speed-model.mjs');
  buildSync({ entryPoints: [join(root, 'src/simulator/speed-model.ts')], outfile: model, format: 'esm' });
  const { expectedTtftMs, expectedTpotMs } = await import(pathToFileURL(model));
  const recipe = join(work, 'one.yaml');
  const text = readFileSync(quickstart, 'utf8')
    .replace(/concurrencies: .*/, 'concurrencies: 1')
    .replace('isl: 512', 'isl: 1024');
  writeFileSync(
    recipe,
    text
      .replace('num_prompts_mult: 6', 'num_prompts_mult: 20')
      .replace('num_warmup_mult: 1', 'num_warmup_mult: 5'),
  );
  const job = startJob(recipe, [], { SRTCTL_SIM_LOAD_MS: '0' });
  const { result } = await job.event((event) => event.kind === 'point.result');
  await job.ended;
  const [serving] = result.benchmark.serving;
  const promptTokens = serving.inputTokens / serving.requests;
  const compare = (figure, expected) =>
    `${figure.mean.toFixed(2)} ms, ${(figure.mean / expected).toFixed(3)} ×`;
  return {
    ttft: compare(serving.ttftMs, expectedTtftMs({ promptTokens, disaggregated: true })),
    tpot: compare(serving.tpotMs, expectedTpotMs({ batch: 1 })),
  };
}

function agentOf(jobPid, node) {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
      if (line.includes('node-agent.js') && line.includes(work) && line.includes(`agent-${node}.json`))
        return pid;
    } catch {
      // It has ended meanwhile.
    }
  }
  throw new Error(`no agent of ${node} (job ${jobPid})`);
}
const rssMb = (pid) => Number(readFileSync(`/proc/${pid}/status`, 'utf8').match(/VmRSS:\s+(\d+)/)[1]) / 1024;
const cpuTicks = (pid) => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return Number(fields[11]) + Number(fields[12]);
};

console.log(`node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim()}\n`);
try {
  const dryRun = pairwise([srtctl, 'dry-run', '-f', quickstart], ['-e', '0']);
  row(
    'dry-run of one recipe, against node -e 0',
    `${dryRun.ms.toFixed(0)} ms, ${dryRun.ratio.toFixed(2)} ×`,
    'aim: under 2.5 ×',
  );

  if (existsSync(shared)) {
    const plan = [srtctl, 'dry-run', '-f', shared, '--json'];
    const many = pairwise(plan, ['-e', '0'], 3);
    row(
      'all public recipes planned in one call',
      `${many.ms.toFixed(0)} ms (${many.ratio.toFixed(1)} × node -e 0)`,
      'under 5000 ms',
    );
    row('  peak memory', `${peakMemoryMb(plan).toFixed(0)} MB`, 'under 300 MB');
  } else console.log('all public recipes: left out, ../shared/recipes is not there');

  const starts = [];
  for (let run = 0; run < 5; run++) {
    const before = Date.now();
    const job = startJob(quickstart, [], { SRTCTL_SIM_LOAD_MS: '0', SRTCTL_SIM_SPEED: '20' });
    const { at } = await job.pointReached('benchmarking');
    starts.push(Date.parse(at) - before);
    job.child.kill('SIGINT');
    await job.ended;
  }
  row('apply to benchmark start, 4 nodes, load time 0', `${median(starts)} ms`, 'aim: under 3,000 ms');

  const turn = await turnaroundFigures(work);
  row(
    'from a point to the next that restarts nothing',
    `${turn.median} ms, at worst ${turn.worst} ms`,
    'aim: under 150 ms',
  );
  row('  to its load generator running', `${turn.spawned} ms`, '');

  const { ttft, tpot } = await againstSpeedModel();
  row('TTFT at concurrency 1, against the speed model', ttft, 'aim: within 5 %');
  row('TPOT at concurrency 1, against the speed model', tpot, 'aim: within 5 %');

  // Eight single-GPU workers on node1 that stay up and idle; node2 has an agent and nothing to do.
  const recipe = join(work, 'eight.yaml');
  mkdirSync(work, { recursive: true });
  writeFileSync(
    recipe,
    `name: eight
model: { path: bench, container: bench, precision: fp8 }
resources: { gpu_type: h100, gpus_per_node: 8, agg_nodes: 1, agg_workers: 8 }
frontend: { type: sglang, enable_multiple_frontends: false }
backend: { type: sglang, sglang_config: { aggregated: { served-model-name: bench, tensor-parallel-size: 1 } } }
benchmark: { type: manual }
`,
  );
  const job = startJob(recipe, ['--nodes', '2'], { SRTCTL_SIM_LOAD_MS: '0' });
  await job.pointReached('benchmarking');
  await sleep(5_000);
  const [busy, idle] = [agentOf(job.child.pid, 'node1'), agentOf(job.child.pid, 'node2')];
  const seconds = 30;
  const ticks = { busy: cpuTicks(busy), idle: cpuTicks(idle) };
  await sleep(seconds * 1_000);
  // USER_HZ is 100 on Linux: a tick is 10 ms.
  const percent = (pid, from) => `${((cpuTicks(pid) - from) / seconds).toFixed(2)} % of a core`;
  row('agent, idle: memory', `${rssMb(idle).toFixed(1)} MB RSS`, 'aim: under 75 MB');
  row('agent, idle: CPU', percent(idle, ticks.idle), '');
  row('agent with 8 healthy processes and a router: memory', `${rssMb(busy).toFixed(1)} MB RSS`, '');
  row('agent with 8 healthy processes and a router: CPU', percent(busy, ticks.busy), 'aim: under 1 %');
  job.child.kill('SIGINT');
  await job.ended;
} finally {
  rmSync(work, { recursive: true, force: true });
}
