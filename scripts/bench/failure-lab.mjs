// Measures how soon the job is cleaned up after faults of nodes, in a real Slurm of 8 nodes with 16 workers. Compares
// with static mode, which sees a process only through the end of its srun. As root (test/slurm-lab/README.md), after
// `make build`:
//   node scripts/bench/failure-lab.mjs [NODES [RUNS]]
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startLab } from '../chaos/lab.mjs';
import { median, milliseconds, table } from './figures.mjs';
import { srtctl, writeRecipe } from './jobs.mjs';
import { allPids, commandLine, environment, goneAfter, lives, read, signal, until } from './processes.mjs';

const [count = 8, runs = 3] = process.argv.slice(2).map(Number);
/** The longest wait. */
const MOST_MS = 30_000;
const work = mkdtempSync(join(tmpdir(), 'srtctl-bench-'));
const recipe = writeRecipe(
  work,
  'failure',
  `name: failure
model: {path: bench, container: none, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 8, agg_nodes: ${count}, agg_workers: ${2 * count}, gpus_per_agg: 4}
frontend: {type: sglang, enable_multiple_frontends: false}
backend: {sglang_config: {aggregated: {served-model-name: bench, tensor-parallel-size: 4}}}
benchmark: {type: manual}
slurm: {time_limit: "00:10:00"}
`,
);

const lab = startLab(count);
process.once('exit', () => {
  lab.down();
  rmSync(work, { recursive: true, force: true });
});

/** All processes that Slurm runs for the job, without its own daemons, each with its node and whether it is an engine. */
function processesOf(id) {
  return allPids()
    .filter((pid) => environment(pid).includes(`\0SLURM_JOB_ID=${id}\0`) && lives(pid))
    .map((pid) => {
      const line = commandLine(pid);
      return {
        pid,
        line,
        node: /\0SLURMD_NODENAME=([^\0]*)/.exec(environment(pid))?.[1],
        isEngine: /launch_server/.test(line) && !/^(\S*\/)?srun\0/.test(line),
      };
    });
}

const areIdle = () => lab.slurm('sinfo', '-h', '-N', '-o', '%T').match(/^idle$/gm)?.length >= count;

async function withJob(mode, hurt) {
  await until(areIdle);
  const outputs = mkdtempSync(join(work, 'out-'));
  const how = mode === 'static' ? ['--no-use-orchestrator'] : [];
  const child = spawn(process.execPath, [srtctl, 'apply', '-f', recipe, '--mock', ...how], {
    env: {
      ...process.env,
      ...lab.env,
      SRTCTL_OUTPUT: outputs,
      SRTCTL_SIM_LOAD_MS: '0',
      SRTCTL_STATIC_POLL_SECONDS: '0.5',
    },
    stdio: 'ignore',
  });
  await new Promise((resolve) => child.once('exit', resolve));
  const id = readdirSync(outputs).find((name) => /^\d+$/.test(name));
  try {
    const isUp = () => /"state": *"benchmarking"/.test(read(join(outputs, id, 'state.json')));
    if (!(await until(isUp, { ms: 90_000 }))) throw new Error(`${mode}: the job ${id} did not come up`);
    return await hurt(id);
  } finally {
    lab.slurm('scancel', '--full', id);
    await until(() => lab.slurm('squeue', '-h') === '' && processesOf(id).length === 0);
    for (const { pid } of processesOf(id)) signal(pid);
  }
}

/** ms until no process of `processes` exists any more. */
const allGone = (processes) =>
  goneAfter(
    processes.map(({ pid }) => pid),
    MOST_MS,
  );

const text = (values) => {
  const one = (ms) => (Number.isFinite(ms) ? milliseconds(ms) : `not within ${MOST_MS / 1000} s`);
  return values.length === 1 ? one(values[0]) : `${one(median(values))}, worst ${one(Math.max(...values))}`;
};
const row = table(58, 32, 32);

async function both(what, aim, times, hurt) {
  if (only !== undefined && !what.includes(only)) return;
  const columns = [];
  for (const mode of ['agents', 'static']) {
    const values = [];
    for (let run = 0; run < times; run++) values.push(await withJob(mode, hurt));
    columns.push(text(values));
  }
  row(what, ...columns, aim);
}

const only = process.env.ONLY;
const victim = `node${count}`;
row('fault', 'agents', 'static', 'must be');
await both('a worker dies → all processes gone', 'grace + 500 ms', runs, (id) => {
  const [first, ...rest] = processesOf(id).filter(({ isEngine }) => isEngine);
  signal(first.pid);
  return allGone(rest);
});
await both('a node is powered off → cleanup elsewhere complete', 'under 5 s', 1, async (id) => {
  const elsewhere = processesOf(id).filter(({ isEngine, node }) => isEngine && node !== victim);
  lab.control('kill', victim);
  try {
    return await allGone(elsewhere);
  } finally {
    lab.control('start', victim);
  }
});
await both(
  'a node is cut off → its processes stopped by itself',
  'lease (10 s) + grace + 1 s',
  1,
  async (id) => {
    const own = processesOf(id).filter(({ isEngine, node }) => isEngine && node === victim);
    lab.control('cut', victim);
    try {
      return await allGone(own);
    } finally {
      lab.control('heal', victim);
    }
  },
);
const atOnce = await withJob('agents', async (id) => {
  const all = processesOf(id);
  const ours = /^\S*node\0.*(node-agent|coordinator)\.js/;
  // Guards have an empty environment.
  const guard = new RegExp(`guard\\.sh\0SRTCTL_[A-Z]+=${id}/`);
  const guards = allPids().filter((pid) => guard.test(commandLine(pid)));
  const own = all.filter(({ line }) => ours.test(line)).map(({ pid }) => pid);
  // A running agent would start another guard.
  for (const pid of own) signal(pid, 'SIGSTOP');
  for (const pid of [...guards, ...own]) signal(pid);
  const engines = all.filter(({ isEngine }) => isEngine);
  lab.slurm('scancel', '--full', id);
  return allGone(engines);
});
row('agents, guards, coordinator kill -9 at once, step ended', text([atOnce]), '-', 'nothing left');
const next = await withJob('agents', (id) => processesOf(id).filter(({ isEngine }) => isEngine).length);
row('  the next job on the nodes', `${next} of ${2 * count} engines up`, '-', 'starts clean');
process.exit(0);
