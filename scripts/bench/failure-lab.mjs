// How soon faults of nodes are cleaned up after, in a real Slurm of 8 nodes with 16 workers, beside static mode, which
// knows a process by the end of its srun alone. As root (test/slurm-lab/README.md), after `make build`:
//   node scripts/bench/failure-lab.mjs [NODES [RUNS]]
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startLab } from '../chaos/lab.mjs';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const [count = 8, runs = 3] = process.argv.slice(2).map(Number);
/** Longer is not waited for. */
const MOST_MS = 30_000;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const work = mkdtempSync(join(tmpdir(), 'srtctl-bench-'));
const file = join(work, 'recipe.yaml');
writeFileSync(
  file,
  `name: failure
model: {path: bench, container: none, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 8, agg_nodes: ${count}, agg_workers: ${2 * count}, gpus_per_agg: 4}
frontend: {type: sglang, enable_multiple_frontends: false}
backend: {sglang_config: {aggregated: {served-model-name: bench, tensor-parallel-size: 4}}}
benchmark: {type: manual}
slurm: {time_limit: "00:10:00"}
`,
);

const read = (path) => {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
};
const lives = (pid) => /\) [^ZX] /.test(read(`/proc/${pid}/stat`));
const kill = (pid) => {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended meanwhile.
  }
};

async function until(holds, ms = MOST_MS) {
  for (const end = performance.now() + ms; performance.now() < end; await sleep(5))
    if (await holds()) return true;
  return false;
}

const lab = startLab(count);
process.once('exit', () => {
  lab.down();
  rmSync(work, { recursive: true, force: true });
});

/** Everything that Slurm runs for the job, but its own daemons; the node, and whether it is an engine. */
function processesOf(id) {
  return readdirSync('/proc')
    .filter(
      (name) => /^\d+$/.test(name) && `\0${read(`/proc/${name}/environ`)}`.includes(`\0SLURM_JOB_ID=${id}\0`),
    )
    .filter(lives)
    .map((pid) => {
      const line = read(`/proc/${pid}/cmdline`);
      const node = /(?:^|\0)SLURMD_NODENAME=([^\0]*)/.exec(read(`/proc/${pid}/environ`))?.[1];
      return {
        pid: Number(pid),
        node,
        line,
        isEngine: /launch_server/.test(line) && !/^(\S*\/)?srun\0/.test(line),
      };
    });
}

const areIdle = () => lab.slurm('sinfo', '-h', '-N', '-o', '%T').match(/^idle$/gm)?.length >= count;

async function withJob(mode, hurt) {
  await until(areIdle, 60_000);
  const outputs = mkdtempSync(join(work, 'out-'));
  const child = spawn(
    process.execPath,
    [
      join(root, 'dist/srtctl.js'),
      'apply',
      '-f',
      file,
      '--mock',
      ...(mode === 'static' ? ['--no-use-orchestrator'] : []),
    ],
    {
      env: {
        ...process.env,
        ...lab.env,
        SRTCTL_OUTPUT: outputs,
        SRTCTL_SIM_LOAD_MS: '0',
        SRTCTL_STATIC_POLL_SECONDS: '0.5',
      },
      stdio: 'ignore',
    },
  );
  await new Promise((resolve) => child.once('exit', resolve));
  const id = readdirSync(outputs).find((name) => /^\d+$/.test(name));
  try {
    const isUp = () => /"state": *"benchmarking"/.test(read(join(outputs, id, 'state.json')));
    if (!(await until(isUp, 90_000))) throw new Error(`${mode}: the job ${id} did not come up`);
    return await hurt(id);
  } finally {
    lab.slurm('scancel', '--full', id);
    await until(() => lab.slurm('squeue', '-h') === '' && processesOf(id).length === 0, 60_000);
    for (const { pid } of processesOf(id)) kill(pid);
  }
}

/** ms until none of `processes` is there any more, as text. */
async function goneAfter(processes) {
  const since = performance.now();
  const isGone = await until(() => !processes.some(({ pid }) => lives(pid)));
  return isGone ? performance.now() - since : Number.POSITIVE_INFINITY;
}

const text = (values) => {
  const sorted = values.toSorted((a, b) => a - b);
  const one = (ms) => (Number.isFinite(ms) ? `${ms.toFixed(0)} ms` : `not within ${MOST_MS / 1000} s`);
  return sorted.length === 1
    ? one(sorted[0])
    : `${one(sorted[Math.floor(sorted.length / 2)])}, worst ${one(sorted.at(-1))}`;
};
const row = (what, agents, fixed, aim) =>
  console.log(`${what.padEnd(58)} ${agents.padEnd(32)} ${fixed.padEnd(32)} ${aim}`);

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
  kill(first.pid);
  return goneAfter(rest);
});
await both('a node is powered off → cleanup elsewhere complete', 'under 5 s', 1, async (id) => {
  const elsewhere = processesOf(id).filter(({ isEngine, node }) => isEngine && node !== victim);
  lab.control('kill', victim);
  try {
    return await goneAfter(elsewhere);
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
      return await goneAfter(own);
    } finally {
      lab.control('heal', victim);
    }
  },
);
const atOnce = await withJob('agents', async (id) => {
  const all = processesOf(id);
  const ours = /^\S*node\0.*(node-agent|coordinator)\.js/;
  // Guards have a bare environment.
  const guards = readdirSync('/proc').filter(
    (pid) =>
      /^\d+$/.test(pid) && new RegExp(`guard\\.sh\0SRTCTL_[A-Z]+=${id}/`).test(read(`/proc/${pid}/cmdline`)),
  );
  const own = all.filter(({ line }) => ours.test(line)).map(({ pid }) => pid);
  // An agent that runs would start another guard.
  for (const pid of own) process.kill(pid, 'SIGSTOP');
  for (const pid of [...guards.map(Number), ...own]) kill(pid);
  const engines = all.filter(({ isEngine }) => isEngine);
  lab.slurm('scancel', '--full', id);
  return goneAfter(engines);
});
row('agents, guards, coordinator kill -9 at once, step ended', text([atOnce]), '-', 'nothing left');
const next = await withJob('agents', (id) => processesOf(id).filter(({ isEngine }) => isEngine).length);
row('  the next job on the nodes', `${next} of ${2 * count} engines up`, '-', 'starts clean');
process.exit(0);
