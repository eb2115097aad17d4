// How soon faults are known and cleaned up after, in real runs on this machine with simulated engines: percentiles of
// some runs each. `npm run bench:failure` after `make build`; RUNS=50 MINUTES=8 for more of them.
// LAB=1 (as root): faults of nodes in the Slurm lab, too, beside static mode, where that has an answer.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { processesOf } from '../chaos/processes.mjs';
import { measureScale } from './scale.mjs';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const work = mkdtempSync(join(tmpdir(), 'srtctl-bench-'));
const runs = Number(process.env.RUNS || 5);
/** No fault is begun after this time; what has been measured by then is printed. */
const END = performance.now() + Number(process.env.MINUTES || 4) * 60_000;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const percentile = (values, part) => values.toSorted((a, b) => a - b)[Math.ceil(part * values.length) - 1];
const figures = (values) =>
  values.length === 0
    ? '-'
    : `p50 ${percentile(values, 0.5).toFixed(0)}, p99 ${percentile(values, 0.99).toFixed(0)} ms (${values.length})`;
const row = (what, agents, aim) => console.log(`${what.padEnd(52)} ${agents.padEnd(32)} ${aim}`);

const recipe = join(work, 'failure.yaml');
writeFileSync(
  recipe,
  `name: failure
model: { path: bench, container: bench, precision: fp8 }
resources: { gpu_type: h100, gpus_per_node: 4, agg_nodes: 4, agg_workers: 8 }
frontend: { type: sglang, enable_multiple_frontends: false }
backend: { type: sglang, sglang_config: { aggregated: { served-model-name: bench, tensor-parallel-size: 2 } } }
benchmark: { type: manual }
`,
);

/** Runs a job to its benchmark, gives it to `hurt`, and waits for its end. */
async function withJob(hurt) {
  const outputs = mkdtempSync(join(work, 'out-'));
  const child = spawn(
    process.execPath,
    [join(root, 'dist/srtctl.js'), 'apply', '-f', recipe, '--local', '--mock'],
    {
      cwd: root,
      env: { ...process.env, SRTCTL_OUTPUT: outputs, SRTCTL_SIM_LOAD_MS: '0' },
      stdio: 'ignore',
    },
  );
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const events = () => {
    const [jobId] = readdirSync(outputs);
    const file = jobId && join(outputs, jobId, 'events.jsonl');
    return file && existsSync(file)
      ? readFileSync(file, 'utf8')
          .split('\n')
          .slice(0, -1)
          .map((line) => JSON.parse(line))
      : [];
  };
  const event = async (wanted) => {
    for (const until = performance.now() + 60_000; performance.now() < until; await sleep(20)) {
      const found = events().find(wanted);
      if (found) return found;
      if (child.exitCode !== null) return events().find(wanted);
    }
    return undefined;
  };
  try {
    const started = await event(({ kind, to }) => kind === 'point.transition' && to === 'benchmarking');
    if (!started) throw new Error('the job did not start');
    const [jobId] = readdirSync(outputs);
    return await hurt({ jobId, event, events });
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
}

const workloads = new Set(['agg', 'frontend', 'child']);
const kill = (pid, signal) => process.kill(pid, signal);
const at = (event) => Date.parse(event.at);

/** ms until none of `pids` is there any more. */
async function gone(pids, since) {
  const exists = (pid) => {
    try {
      return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    } catch {
      return false;
    }
  };
  for (const until = performance.now() + 60_000; pids.some(exists); await sleep(2))
    if (performance.now() > until) return Number.NaN;
  return Date.now() - since;
}

const pidsOf = (jobId, kind) =>
  processesOf(jobId)
    .filter((each) => each.kind === kind)
    .map(({ pid }) => pid);
const workersOf = (jobId) =>
  processesOf(jobId)
    .filter(({ kind }) => workloads.has(kind))
    .map(({ pid }) => pid);

/** A worker is killed: every agent told = the first word of a stop on each other node. */
const workerDies =
  ({ jobId, event, events }) =>
  async () => {
    const [victim] = pidsOf(jobId, 'agg');
    const rest = workersOf(jobId).filter((pid) => pid !== victim);
    const since = Date.now();
    kill(victim, 'SIGKILL');
    const allGone = await gone(rest, since);
    await event(({ kind, to }) => kind === 'sweep.transition' && to === 'finished');
    const stops = new Map();
    for (const each of events())
      if (each.kind === 'process.transition' && each.to === 'stopping' && !stops.has(each.node))
        stops.set(each.node, at(each));
    return { told: Math.max(...stops.values()) - since, allGone };
  };

const agentKilled =
  ({ jobId, event }) =>
  async () => {
    const [agent] = pidsOf(jobId, 'agent');
    const own = childrenOf(agent);
    const since = Date.now();
    kill(agent, 'SIGKILL');
    const ownGone = await gone(own, since);
    const known = await event(
      ({ kind, to }) => kind === 'agent.transition' && (to === 'lost' || to === 'suspect'),
    );
    return { ownGone, known: known ? at(known) - since : Number.NaN };
  };

const agentFrozen =
  ({ jobId }) =>
  async () => {
    const [agent] = pidsOf(jobId, 'agent');
    const own = new Set(childrenOf(agent));
    const elsewhere = workersOf(jobId).filter((pid) => !own.has(pid));
    const since = Date.now();
    kill(agent, 'SIGSTOP');
    return { elsewhere: await gone(elsewhere, since) };
  };

function childrenOf(parent) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const [, , ppid] = readFileSync(`/proc/${pid}/stat`, 'utf8')
          .replace(/\(.*\)/s, '()')
          .split(' ')
          .slice(1);
        return (
          Number(ppid) === parent && !readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes('guard.sh')
        );
      } catch {
        return false;
      }
    })
    .map(Number);
}

async function many(fault, count = runs) {
  const all = [];
  while (all.length < count && performance.now() < END) all.push(await withJob((job) => fault(job)()));
  return (name) => all.map((one) => one[name]).filter(Number.isFinite);
}

row('fault', 'measured', 'must be');
try {
  const worker = await many(workerDies);
  row('a worker dies → every agent told', figures(worker('told')), 'under 100 ms');
  row('a worker dies → all processes gone', figures(worker('allGone')), 'grace + 500 ms');
  const agent = await many(agentKilled);
  row('an agent is killed → its processes gone', figures(agent('ownGone')), 'under 200 ms');
  row('an agent is killed → the coordinator knows', figures(agent('known')), 'under 50 ms');
  const frozen = await many(agentFrozen, Math.min(runs, 3));
  row('an agent is frozen → cleanup elsewhere complete', figures(frozen('elsewhere')), 'under 5,000 ms');
  const scale = await measureScale(1000, 3);
  row('1,000 agents × 8: one fails → stop acknowledged', figures(scale.stoppedMs), 'under 500 ms');
  row('1,000 agents × 8: coordinator, memory', `${scale.rssMb.toFixed(0)} MB`, 'under 400 MB');
  row('1,000 agents × 8: coordinator, CPU at rest', `${scale.cpuPercent.toFixed(0)} % of a core`, '');
} finally {
  rmSync(work, { recursive: true, force: true });
}
if (process.env.LAB) await import('./failure-lab.mjs');
