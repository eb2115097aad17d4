// Measures how soon a dead agent is known, and whether busy nodes raise a false alarm. `npm run bench:supervision`
// after `make build`; --runs N (3), --seconds S (20) of the warm-up storm, --kills N (5).
import { spawn, spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { median, sleep, table } from './figures.mjs';
import { withDirectory, withJob, writeRecipe } from './jobs.mjs';
import { agentOf, signal } from './processes.mjs';

const { values: told } = parseArgs({
  options: {
    runs: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '20' },
    kills: { type: 'string', default: '5' },
  },
});
const row = table(58, 34);

/** Four nodes whose engines stay up until the user stops the job. */
const RECIPE = `name: bench-supervision
model: {path: test-model, container: test-image, precision: fp8}
resources: {gpu_type: h100, gpus_per_node: 4, prefill_nodes: 2, prefill_workers: 2, decode_nodes: 2, decode_workers: 2}
frontend: {type: sglang, enable_multiple_frontends: false}
backend:
  sglang_config:
    prefill: {served-model-name: m, tensor-parallel-size: 4}
    decode: {served-model-name: m, tensor-parallel-size: 4}
benchmark: {type: manual}`;

/**
 * Kills an agent. Measures when the kill was known, when the other nodes were clean, and how long starting `true`
 * takes.
 */
async function killAgent(job) {
  const spawned = performance.now();
  spawnSync('true');
  const baseline = performance.now() - spawned;
  const killedAt = Date.now();
  signal(agentOf(job.jobId(), 'node3'));
  await job.ended;
  const events = job.events();
  const after = (event) => Date.parse(event.at) - killedAt;
  const lost = ({ kind, node, to }) => kind === 'agent.transition' && node === 'node3' && to !== 'joined';
  const stopped = ({ kind, node, to }) =>
    kind === 'process.transition' && node !== 'node3' && to === 'stopped';
  return {
    baseline,
    known: after(events.find(lost)),
    cleaned: Math.max(...events.filter(stopped).map(after)),
  };
}

/** Keeps all CPUs busy for a time. Returns the agents that were silent meanwhile. */
async function storm(job) {
  const hogs = Array.from({ length: 2 * cpus().length }, () =>
    spawn('/bin/sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' }),
  );
  try {
    await sleep(Number(told.seconds) * 1_000);
  } finally {
    for (const hog of hogs) hog.kill('SIGKILL');
  }
  const silent = (to) =>
    job.events().filter((event) => event.kind === 'agent.transition' && event.to === to).length;
  return { lost: silent('lost'), suspect: silent('suspect') };
}

await withDirectory(async (work) => {
  const recipe = writeRecipe(work, 'supervision', RECIPE);
  const many = async (count, measure) => {
    const all = [];
    for (let run = 0; run < count; run++)
      all.push(await withJob(work, recipe, { env: { SRTCTL_SIM_LOAD_MS: '100' } }, measure));
    return (name) => all.map((one) => one[name]);
  };

  if (Number(told.kills) > 0) {
    const kills = await many(Number(told.kills), killAgent);
    const text = (values) => `${median(values)} ms, ${Math.max(...values)} ms`;
    const ratio = (median(kills('known')) / median(kills('baseline'))).toFixed(1);
    row(
      'agent kill -9: coordinator knows (median, worst)',
      `${text(kills('known'))} (${ratio} × starting \`true\`)`,
      'under 50 ms',
    );
    row('agent kill -9: cleanup elsewhere (median, worst)', text(kills('cleaned')), 'under 5 s');
  }

  const storms = await many(Number(told.runs), storm);
  const sum = (values) => values.reduce((all, one) => all + one, 0);
  row(
    `CPUs busy for ${told.seconds} s, ${told.runs} runs of 4 nodes`,
    `${sum(storms('lost'))} agents lost, ${sum(storms('suspect'))} suspect for a moment`,
    'no false alarm',
  );
});
