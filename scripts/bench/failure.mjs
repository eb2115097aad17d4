// Measures how soon faults are known and cleaned up, in real runs on this machine with simulated engines: percentiles
// of several runs each. `npm run bench:failure` after `make build`; RUNS=50 MINUTES=8 for more runs. LAB=1 (as root)
// adds faults of nodes in the Slurm lab, compared with static mode where that detects the fault.
import { processesOf } from '../chaos/processes.mjs';
import { milliseconds, percentile, table } from './figures.mjs';
import { withDirectory, withJob, writeRecipe } from './jobs.mjs';
import { allPids, commandLine, goneAfter, parentOf, signal } from './processes.mjs';
import { measureScale } from './scale.mjs';

const runs = Number(process.env.RUNS || 5);
/** No fault starts after this time; the results so far are printed. */
const END = performance.now() + Number(process.env.MINUTES || 4) * 60_000;
const figures = (values) =>
  values.length === 0
    ? '-'
    : `p50 ${percentile(values, 0.5).toFixed(0)}, p99 ${milliseconds(percentile(values, 0.99))} (${values.length})`;
const row = table(52, 32);

const RECIPE = `name: failure
model: { path: bench, container: bench, precision: fp8 }
resources: { gpu_type: h100, gpus_per_node: 4, agg_nodes: 4, agg_workers: 8 }
frontend: { type: sglang, enable_multiple_frontends: false }
backend: { type: sglang, sglang_config: { aggregated: { served-model-name: bench, tensor-parallel-size: 2 } } }
benchmark: { type: manual }
`;

const workloads = ['agg', 'frontend', 'child'];
const pidsOf = (job, ...kinds) =>
  processesOf(job.jobId())
    .filter(({ kind }) => kinds.includes(kind))
    .map(({ pid }) => pid);
/** The processes that an agent has started. Its guard is no workload. */
const childrenOf = (agent) =>
  allPids().filter((pid) => parentOf(pid) === agent && !commandLine(pid).includes('guard.sh'));

/** Kills a worker. "every agent told" is the first message of a stop on each other node. */
async function workerDies(job) {
  const [victim] = pidsOf(job, 'agg');
  const rest = pidsOf(job, ...workloads).filter((pid) => pid !== victim);
  const since = Date.now();
  signal(victim);
  const allGone = await goneAfter(rest);
  await job.event(({ kind, to }) => kind === 'sweep.transition' && to === 'finished');
  const stops = new Map();
  for (const { kind, to, node, at } of job.events())
    if (kind === 'process.transition' && to === 'stopping' && !stops.has(node))
      stops.set(node, Date.parse(at));
  const told = stops.size > 0 ? Math.max(...stops.values()) - since : Number.POSITIVE_INFINITY;
  return { told, allGone };
}

async function agentKilled(job) {
  const [agent] = pidsOf(job, 'agent');
  const own = childrenOf(agent);
  const since = Date.now();
  signal(agent);
  const ownGone = await goneAfter(own);
  const known = await job.event(
    ({ kind, to }) => kind === 'agent.transition' && (to === 'lost' || to === 'suspect'),
  );
  return { ownGone, known: Date.parse(known.at) - since };
}

async function agentFrozen(job) {
  const [agent] = pidsOf(job, 'agent');
  const own = childrenOf(agent);
  const elsewhere = pidsOf(job, ...workloads).filter((pid) => !own.includes(pid));
  signal(agent, 'SIGSTOP');
  return { elsewhere: await goneAfter(elsewhere) };
}

row('fault', 'measured', 'must be');
await withDirectory(async (work) => {
  const recipe = writeRecipe(work, 'failure', RECIPE);
  const many = async (fault, count = runs) => {
    const all = [];
    while (all.length < count && performance.now() < END) all.push(await withJob(work, recipe, {}, fault));
    return (name) => figures(all.map((one) => one[name]));
  };
  const worker = await many(workerDies);
  row('a worker dies → every agent told', worker('told'), 'under 100 ms');
  row('a worker dies → all processes gone', worker('allGone'), 'grace + 500 ms');
  const agent = await many(agentKilled);
  row('an agent is killed → its processes gone', agent('ownGone'), 'under 200 ms');
  row('an agent is killed → the coordinator knows', agent('known'), 'under 50 ms');
  const frozen = await many(agentFrozen, Math.min(runs, 3));
  row('an agent is frozen → cleanup elsewhere complete', frozen('elsewhere'), 'under 5,000 ms');
  const scale = await measureScale(1000, 3);
  row('1,000 agents × 8: one fails → each has heard the stop', figures(scale.toldMs), 'under 500 ms');
  row('1,000 agents × 8: coordinator, memory', `${scale.rssMb.toFixed(0)} MB`, 'under 400 MB');
  row('1,000 agents × 8: coordinator, CPU at rest', `${scale.cpuPercent.toFixed(0)} % of a core`, '');
});
if (process.env.LAB) await import('./failure-lab.mjs');
