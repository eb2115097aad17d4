// Counts a job's processes that are left after an agent, or another component of the job, is killed or stopped. After
// `make build`:
//   node scripts/bench/failure-agent.mjs [TRIALS [SEED]]
// Each row is a function that returns [what, value, aim]; `npm run bench:failure` may use them.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const srtctl = join(root, 'dist/srtctl.js');
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const RECIPE = `name: failure
model: { path: bench, container: bench, precision: fp8 }
resources: { gpu_type: h100, gpus_per_node: 4, prefill_nodes: 1, decode_nodes: 2, prefill_workers: 1, decode_workers: 2 }
frontend: { type: sglang, enable_multiple_frontends: false }
backend:
  type: sglang
  sglang_config:
    prefill: { served-model-name: bench, tensor-parallel-size: 4 }
    decode: { served-model-name: bench, tensor-parallel-size: 4 }
benchmark: { type: sa-bench, isl: 64, osl: 32, concurrencies: "2", req_rate: inf, num_prompts_mult: 20000 }
`;

const read = (path) => {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
};
const pids = () => readdirSync('/proc').filter((name) => /^\d+$/.test(name));
/** A zombie has ended. */
const lives = (pid) => /\) [^ZX] /.test(read(`/proc/${pid}/stat`));
const marked = (mark) =>
  pids()
    .filter((pid) => `\0${read(`/proc/${pid}/environ`)}`.includes(`\0${mark}`) && lives(pid))
    .map(Number);
const signal = (pid, name) => {
  try {
    process.kill(pid, name);
  } catch {
    // The process has already ended.
  }
};

async function until(holds, ms) {
  const end = performance.now() + ms;
  for (;;) {
    const value = await holds();
    if (value) return value;
    if (performance.now() > end) return undefined;
    await sleep(5);
  }
}

/** Starts a job of three nodes whose engines have grandchildren in their own sessions. */
function startJob(work) {
  const recipe = join(work, 'recipe.yaml');
  writeFileSync(recipe, RECIPE);
  const outputs = mkdtempSync(join(work, 'out-'));
  const child = spawn(process.execPath, [srtctl, 'apply', '-f', recipe, '--local', '--mock'], {
    env: {
      ...process.env,
      SRTCTL_OUTPUT: outputs,
      SRTCTL_SIM_LOAD_MS: '50',
      SRTCTL_SIM_SPEED: '10',
      SRTCTL_SIM_CHILDREN: '2',
    },
    stdio: 'ignore',
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const jobId = () => readdirSync(outputs)[0];
  const events = () =>
    read(join(outputs, jobId() ?? '', 'events.jsonl'))
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  const job = {
    child,
    ended,
    jobId,
    events,
    event: (wanted, ms = 60_000) => until(() => events().find(wanted), ms),
    /** All processes of the job: those of its agents, by mark, and its own programs, by command line. */
    components() {
      const id = jobId();
      if (!id) return [];
      const own = marked(`SRTCTL_JOB=${id}\0`).map((pid) => ({ kind: 'process', pid }));
      for (const pid of pids()) {
        const words = read(`/proc/${pid}/cmdline`).split('\0');
        if (!words.some((word) => word.includes(id)) || own.some((one) => one.pid === Number(pid))) continue;
        const kind =
          ['guard.sh', 'node-agent.js', 'coordinator.js', 'nats-server'].find((name) =>
            words.slice(0, 4).some((word) => word.endsWith(name)),
          ) ?? null;
        if (kind && lives(pid)) own.push({ kind, pid: Number(pid), words });
      }
      return own;
    },
    agentOf: (node) =>
      job
        .components()
        .find(
          ({ kind, words }) =>
            kind === 'node-agent.js' && words.some((word) => word.endsWith(`agent-${node}.json`)),
        )?.pid,
    running: () => job.event(({ kind, to }) => kind === 'point.transition' && to === 'benchmarking'),
    /** Cleans up, whatever the outcome. */
    async destroy() {
      for (const { pid } of job.components()) signal(pid, 'SIGCONT');
      child.kill('SIGINT');
      await until(() => child.exitCode !== null || child.signalCode !== null, 20_000);
      child.kill('SIGKILL');
      for (const { pid } of job.components()) signal(pid, 'SIGKILL');
    },
  };
  return job;
}

async function withJob(measure) {
  const work = mkdtempSync(join(tmpdir(), 'srtctl-failure-'));
  const job = startJob(work);
  try {
    await job.running();
    return await measure(job, work);
  } finally {
    await job.destroy();
    rmSync(work, { recursive: true, force: true });
  }
}
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const nodeMark = (job, node) => `SRTCTL_AGENT=${job.jobId()}/${node}/`;

export async function agentKilled(runs = 5) {
  const gone = [];
  const known = [];
  for (let run = 0; run < runs; run++)
    await withJob(async (job) => {
      const mark = nodeMark(job, 'node2');
      const own = marked(mark);
      const agent = job.agentOf('node2');
      const at = Date.now();
      const from = performance.now();
      signal(agent, 'SIGKILL');
      await until(() => !own.some(lives), 10_000);
      gone.push(performance.now() - from);
      const lost = await job.event(
        ({ kind, node, from: before }) =>
          kind === 'agent.transition' && node === 'node2' && before === 'joined',
      );
      known.push(Date.parse(lost.at) - at);
    });
  return [
    [
      'agent kill -9: its processes gone',
      `${median(gone).toFixed(0)} ms, worst ${Math.max(...gone).toFixed(0)} ms`,
      'under 200 ms',
    ],
    [
      'agent kill -9: coordinator knows',
      `${median(known)} ms, worst ${Math.max(...known)} ms`,
      'under 50 ms',
    ],
  ];
}

export async function agentFrozen() {
  return withJob(async (job) => {
    const own = marked(nodeMark(job, 'node2'));
    const others = [...marked(nodeMark(job, 'node1')), ...marked(nodeMark(job, 'node3'))];
    const agent = job.agentOf('node2');
    const from = performance.now();
    signal(agent, 'SIGSTOP');
    const cleaned = await until(() => !others.some(lives) && performance.now() - from, 30_000);
    const thawed = performance.now();
    signal(agent, 'SIGCONT');
    const stopped = await until(() => !own.some(lives) && performance.now() - thawed, 30_000);
    const text = (ms) => (ms === undefined ? 'not within 30 s' : `${ms.toFixed(0)} ms`);
    return [
      ['agent frozen: cleanup elsewhere', text(cleaned), 'under 5 s'],
      ['agent thawed: its own stopped', text(stopped), 'at once'],
    ];
  });
}

export async function allKilledAtOnce() {
  return withJob(async (job, work) => {
    const victims = job
      .components()
      .filter(({ kind }) => ['guard.sh', 'node-agent.js', 'coordinator.js'].includes(kind));
    const mark = `SRTCTL_JOB=${job.jobId()}\0`;
    for (const { pid } of victims) signal(pid, 'SIGSTOP');
    for (const { pid } of victims) signal(pid, 'SIGKILL');
    await job.ended;
    await sleep(500);
    const left = marked(mark).length;
    const next = startJob(work);
    await next.event(({ kind, to }) => kind === 'agent.transition' && to === 'joined');
    const after = marked(mark).length;
    await next.destroy();
    return [
      ['agents, guards and coordinator kill -9 at once: left behind', `${left} processes`, ''],
      ['  when the next job on the node has an agent', `${after} processes`, '0'],
    ];
  });
}

/** mulberry32, a small random number generator with the same results on every machine. */
export function randomOf(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/**
 * Kills or stops one component of a job at a random moment, and then ends the job. Returns the processes that are left.
 */
async function trial(seed) {
  const random = randomOf(seed);
  const work = mkdtempSync(join(tmpdir(), 'srtctl-trial-'));
  const job = startJob(work);
  try {
    const delay = random() * 2_500;
    await until(() => job.components().length > 2, 10_000);
    await sleep(delay);
    const kinds = ['process', 'guard.sh', 'node-agent.js', 'coordinator.js', 'nats-server'];
    const kind = kinds[Math.floor(random() * kinds.length)];
    const all = job.components();
    const some = all.filter((one) => one.kind === kind);
    const victims = some.length > 0 ? some : all;
    const victim = victims[Math.floor(random() * victims.length)];
    const fault = random() < 0.5 ? 'SIGKILL' : 'SIGSTOP';
    const id = job.jobId();
    if (victim) signal(victim.pid, fault);
    await sleep(random() * 500);
    job.child.kill('SIGINT');
    const orphans = () =>
      marked(`SRTCTL_JOB=${id}\0`).filter((pid) => pid !== victim?.pid || fault === 'SIGKILL');
    await until(() => orphans().length === 0, 30_000);
    const left = orphans();
    // A stopped component, such as the coordinator, is continued, and must then end too.
    if (victim) signal(victim.pid, 'SIGCONT');
    await until(() => job.components().length === 0, 20_000);
    const rest = job.components();
    return {
      seed,
      fault,
      kind: victim?.kind,
      left: left.length + rest.length,
      what: rest.map((one) => one.kind),
    };
  } finally {
    await job.destroy();
    rmSync(work, { recursive: true, force: true });
  }
}

export async function trials(count = 30, seed = 1) {
  const bad = [];
  for (let next = 0; next < count; next++) {
    const result = await trial(seed + next);
    if (result.left > 0) {
      bad.push(result);
      console.error(JSON.stringify(result));
    }
  }
  return [
    [
      `one component kill -9 or SIGSTOP at a random moment, ${count} trials`,
      `${bad.length} with orphans`,
      '0',
    ],
  ];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (!existsSync(srtctl)) throw new Error('nothing is built: make build');
  const [count = 10, seed = 1] = process.argv.slice(2).map(Number);
  const print = (rows) => {
    for (const [what, value, aim] of rows) console.log(`${what.padEnd(70)} ${value.padEnd(28)} ${aim}`);
  };
  print(await agentKilled());
  print(await agentFrozen());
  print(await allKilledAtOnce());
  print(await trials(count, seed));
}
