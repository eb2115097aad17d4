// How soon a dead agent is known, and whether busy nodes raise a false alarm. `npm run bench:supervision` after `make
// build`; --runs N (3), --seconds S (20) of the warm-up storm, --kills N (5).
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values: told } = parseArgs({
  options: {
    runs: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '20' },
    kills: { type: 'string', default: '5' },
  },
});
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const work = mkdtempSync(join(tmpdir(), 'srtctl-bench-'));
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const row = (what, value, aim) => console.log(`${what.padEnd(58)} ${value.padEnd(34)} ${aim}`);

/** Four nodes whose engines are up until somebody stops the job. */
const recipe = join(work, 'recipe.yaml');
writeFileSync(
  recipe,
  `name: bench-supervision
model: {path: test-model, container: test-image, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 4, prefill_nodes: 2, prefill_workers: 2, decode_nodes: 2, decode_workers: 2}
frontend: {type: sglang, enable_multiple_frontends: false}
backend:
  sglang_config:
    prefill: {served-model-name: m, tensor-parallel-size: 4}
    decode: {served-model-name: m, tensor-parallel-size: 4}
benchmark: {type: manual}
`,
);

async function until(what, holds, ms = 60_000) {
  for (const end = performance.now() + ms; performance.now() < end; await sleep(10)) {
    const value = holds();
    if (value) return value;
  }
  throw new Error(`waited in vain for ${what}`);
}

async function startJob() {
  const outputs = mkdtempSync(join(work, 'out-'));
  const child = spawn(
    process.execPath,
    [join(root, 'dist/srtctl.js'), 'apply', '-f', recipe, '--local', '--mock'],
    { env: { ...process.env, SRTCTL_OUTPUT: outputs, SRTCTL_SIM_LOAD_MS: '100' }, stdio: 'ignore' },
  );
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const events = () => {
    const [id] = readdirSync(outputs);
    try {
      const text = readFileSync(join(outputs, id ?? '', 'events.jsonl'), 'utf8');
      return text
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line));
    } catch {
      return [];
    }
  };
  await until('a benchmark', () => events().some(({ to }) => to === 'benchmarking'));
  return { child, ended, events, id: () => readdirSync(outputs)[0] ?? '' };
}

/** Pid of the agent of a node of a job, by its command line. */
function agentOf(id, node) {
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'latin1');
      if (line.includes(`${id}/`) && line.includes(`agent-${node}.json`)) return Number(pid);
    } catch {
      // It has ended.
    }
  }
  throw new Error(`no agent of ${node}`);
}

try {
  const known = [];
  const cleaned = [];
  const baseline = [];
  for (let trial = 0; trial < Number(told.kills); trial++) {
    const job = await startJob();
    const spawned = performance.now();
    spawnSync('true');
    baseline.push(performance.now() - spawned);
    const pid = agentOf(job.id(), 'node3');
    const killedAt = Date.now();
    process.kill(pid, 'SIGKILL');
    await job.ended;
    const of = (holds) => Date.parse(job.events().find(holds)?.at) - killedAt;
    known.push(
      of(({ kind, node, to }) => kind === 'agent.transition' && node === 'node3' && to !== 'joined'),
    );
    const last = job
      .events()
      .filter(({ kind, node, to }) => kind === 'process.transition' && node !== 'node3' && to === 'stopped');
    cleaned.push(Math.max(...last.map(({ at }) => Date.parse(at))) - killedAt);
  }
  const ratio = (median(known) / median(baseline)).toFixed(1);
  row(
    'agent kill -9: coordinator knows (median, worst)',
    `${median(known)} ms, ${Math.max(...known)} ms (${ratio} × starting \`true\`)`,
    'under 50 ms',
  );
  row(
    'agent kill -9: cleanup elsewhere (median, worst)',
    `${median(cleaned)} ms, ${Math.max(...cleaned)} ms`,
    'under 5 s',
  );

  let alarms = 0;
  let suspects = 0;
  for (let run = 0; run < Number(told.runs); run++) {
    const job = await startJob();
    const hogs = Array.from({ length: 2 * cpus().length }, () =>
      spawn('/bin/sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' }),
    );
    await sleep(Number(told.seconds) * 1_000);
    for (const hog of hogs) hog.kill('SIGKILL');
    const silent = job.events().filter(({ kind, to }) => kind === 'agent.transition' && to !== 'joined');
    suspects += silent.filter(({ to }) => to === 'suspect').length;
    alarms += silent.filter(({ to }) => to === 'lost').length;
    job.child.kill('SIGINT');
    await job.ended;
  }
  row(
    `CPUs busy for ${told.seconds} s, ${told.runs} runs of 4 nodes`,
    `${alarms} agents lost, ${suspects} suspect for a moment`,
    'no false alarm',
  );
} finally {
  rmSync(work, { recursive: true, force: true });
}
