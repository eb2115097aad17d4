// How long from the start of the batch script until all engines run and the benchmark begins: the coordinator with its
// one srun against static mode with an srun for each process, in turn in one Slurm lab. `npm run bench:slurm` after
// `make build`, as root; see test/slurm-lab/README.md. Arguments: numbers of nodes (default 8 32).
import { spawnSync } from 'node:child_process';
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
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const srtctl = join(root, 'dist/srtctl.js');
const lab = join(root, 'test/slurm-lab/lab.sh');
const RUNS = Number(process.env.BENCH_RUNS ?? 3);
const sizes = process.argv.slice(2).map(Number);
if (sizes.length === 0) sizes.push(8, 32);
/** Seconds: what is asked of the orchestrator. */
const AIMS = { 8: 3, 32: 6 };
const RUN_TIMEOUT_MS = 150_000;

const work = mkdtempSync(join(tmpdir(), 'srtctl-bench-slurm-'));
const labEnv = { ...process.env, SRTCTL_LAB_DIR: join(work, 'lab') };
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const seconds = (ms) => `${(ms / 1000).toFixed(2)} s`;

function run(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', ...options });
  if (status !== 0)
    throw new Error(`${command} ${args.join(' ')} ended with ${status}: ${error ?? stderr}${stdout}`);
  return stdout;
}

/** Two engines on each node, one router, and a benchmark that only says when it began. */
const recipe = (nodes) => `name: bench-${nodes}
model: {path: ${work}, container: none, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 8, agg_nodes: ${nodes}, agg_workers: ${2 * nodes}, gpus_per_agg: 4}
frontend: {type: sglang, enable_multiple_frontends: false}
backend: {sglang_config: {aggregated: {served-model-name: bench, tensor-parallel-size: 4}}}
benchmark: {type: custom, command: 'date +%s%3N >"$SRT_RESULT_DIR/began"'}
slurm: {time_limit: "00:10:00"}
`;

/** When the batch script that runs now began, ms since the epoch: its process says so, to a hundredth of a second. */
function batchScriptBegan() {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('/slurm_script')) continue;
      const ticks = Number(readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1].split(' ')[19]);
      const uptimeMs = Number(readFileSync('/proc/uptime', 'latin1').split(' ')[0]) * 1000;
      return Date.now() - uptimeMs + ticks * 10;
    } catch {
      // It has ended meanwhile.
    }
  }
  return undefined;
}

/** CPU that the agents have used up to now, ms, on average. */
function agentCpuMs() {
  const used = [];
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
      if (!/^\S*node\0/.test(line) || !line.includes('node-agent.js')) continue;
      const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1].split(' ');
      used.push(10 * (Number(fields[11]) + Number(fields[12])));
    } catch {
      // It has ended meanwhile.
    }
  }
  return used.length > 0 ? used.reduce((sum, ms) => sum + ms, 0) / used.length : undefined;
}

async function until(what, holds) {
  const end = performance.now() + RUN_TIMEOUT_MS;
  for (;;) {
    const value = holds();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > end) throw new Error(`waited in vain for: ${what}`);
    await sleep(50);
  }
}

const MODES = {
  orchestrator: { args: [], env: {} },
  'static, polls each 10 s': { args: ['--no-use-orchestrator'], env: {} },
  'static, polls each second': { args: ['--no-use-orchestrator'], env: { SRTCTL_STATIC_POLL_SECONDS: '1' } },
};

/** One job. Times in ms after the start of its batch script. */
async function measure(mode, nodes, slurmEnv) {
  const outputs = mkdtempSync(join(work, 'out-'));
  const spawned = mkdtempSync(join(work, 'spawned-'));
  const env = { ...slurmEnv, ...MODES[mode].env, BENCH_SPAWNED: spawned, SRTCTL_OUTPUT: outputs };
  const file = join(work, `${nodes}.yaml`);
  writeFileSync(file, recipe(nodes));
  const said = run(process.execPath, [srtctl, 'apply', '-f', file, '--json', ...MODES[mode].args], {
    env,
    cwd: work,
  });
  const { jobId, jobDir } = JSON.parse(said.split('\n')[0]);
  const state = () => {
    try {
      return JSON.parse(readFileSync(join(jobDir, 'state.json'), 'utf8'));
    } catch {
      return undefined;
    }
  };
  try {
    const began = await until('the batch script', batchScriptBegan);
    const beganFile = join(jobDir, `points/00-bench-${nodes}/began`);
    await until('the benchmark', () => {
      if (state()?.sweep === 'finished' && state().exitCode !== 0)
        throw new Error(
          `the run failed: ${state().cause?.summary}\n${readFileSync(join(jobDir, `logs/sweep_${jobId}.log`), 'utf8')}`,
        );
      return existsSync(beganFile) && readFileSync(beganFile, 'utf8') !== '';
    });
    const agentMs = agentCpuMs();
    const benchmark = Number(readFileSync(beganFile, 'utf8')) - began;
    const engines = readdirSync(spawned).map(
      (name) => Number(readFileSync(join(spawned, name), 'utf8')) - began,
    );
    if (engines.length !== 2 * nodes + 1) throw new Error(`${engines.length} engines and routers`);
    const events = existsSync(join(jobDir, 'events.jsonl'))
      ? readFileSync(join(jobDir, 'events.jsonl'), 'utf8')
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line))
      : [];
    const at = (wanted) => {
      const times = events.filter(wanted).map((event) => Date.parse(event.at) - began);
      return times.length > 0 ? Math.max(...times) : undefined;
    };
    const bus = at(({ kind, from }) => kind === 'sweep.transition' && from === null);
    const joined = at(({ kind, to }) => kind === 'agent.transition' && to === 'joined');
    return { spawned: Math.max(...engines), benchmark, bus, joined, agentMs };
  } finally {
    const gone = () => run('squeue', ['-h', '-o', '%i'], { env: slurmEnv }).trim() === '';
    for (let tries = 0; tries < 200 && !gone(); tries++) await sleep(100);
    if (!gone()) spawnSync('scancel', [jobId], { env: slurmEnv });
  }
}

try {
  const most = Math.max(...sizes);
  run('gcc', ['-O1', '-Wall', '-Werror', '-o', join(work, 'engine'), join(root, 'scripts/bench/engine.c')]);
  mkdirSync(join(work, 'bin'));
  run('cp', [join(work, 'engine'), join(work, 'bin/python3')]);
  const python = run('python3', ['-c', 'import sys; print(sys.executable)']).trim();
  writeFileSync(
    join(work, 'srtslurm.yaml'),
    'container_runtime: none\nuse_gpus_per_node_directive: false\nuse_segment_sbatch_directive: false\n',
  );
  run(lab, ['up', String(most)], { env: labEnv });
  const slurmEnv = {
    ...process.env,
    SLURM_CONF: join(work, 'lab/slurm.conf'),
    SRTSLURM_CONFIG: join(work, 'srtslurm.yaml'),
    PATH: `${join(work, 'bin')}:${join(root, '.srtctl/bin')}:${process.env.PATH}`,
    BENCH_PYTHON: python,
  };
  console.log(
    `node ${process.version}, ${cpus().length} × ${cpus()[0]?.model.trim()}; ${most} nodes of the lab on it`,
  );
  console.log(`medians of ${RUNS} runs, from the start of the batch script\n`);
  const medians = {};
  for (const nodes of sizes) {
    const results = Object.fromEntries(Object.keys(MODES).map((mode) => [mode, []]));
    for (let round = 0; round < RUNS; round++)
      for (const mode of Object.keys(MODES)) results[mode].push(await measure(mode, nodes, slurmEnv));
    const of = (mode, figure) => median(results[mode].map((result) => result[figure]));
    const title = `${nodes} nodes, ${2 * nodes} workers`;
    console.log(`${title.padEnd(32)}${'all engines run'.padEnd(18)}benchmark begins`);
    for (const mode of Object.keys(MODES))
      console.log(
        `  ${mode.padEnd(30)}${seconds(of(mode, 'spawned')).padEnd(18)}${seconds(of(mode, 'benchmark'))}`,
      );
    for (const mode of Object.keys(MODES).slice(1)) {
      const ratio = (figure) => `${(of(mode, figure) / of('orchestrator', figure)).toFixed(2)} ×`;
      console.log(`  ${`${mode} / orchestrator`.padEnd(42)}${ratio('spawned')}, ${ratio('benchmark')}`);
    }
    const o = 'orchestrator';
    console.log(
      `  orchestrator: bus at ${seconds(of(o, 'bus'))}, last agent joined at ${seconds(of(o, 'joined'))}; CPU of an agent until then ${of(o, 'agentMs').toFixed(0)} ms, of all ${seconds(of(o, 'agentMs') * nodes)} on ${cpus().length} cores`,
    );
    if (AIMS[nodes]) console.log(`  aim: benchmark begins within ${AIMS[nodes]} s\n`);
    medians[nodes] = of(o, 'benchmark');
  }
  const [few, many] = [Math.min(...sizes), most];
  if (few < many)
    console.log(
      `orchestrator, ${few} to ${many} nodes: ${(medians[many] / medians[few]).toFixed(2)} × the time for ${(many / few).toFixed(1)} × the nodes`,
    );
} finally {
  spawnSync(lab, ['down'], { env: labEnv });
  rmSync(work, { recursive: true, force: true });
}
