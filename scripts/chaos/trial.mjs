import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventProblems, harmProblems, leftovers, resultProblems, resultsOf } from './invariants.mjs';
import { processesOf } from './processes.mjs';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const preload = join(root, 'scripts/chaos/preload.mjs');
/**
 * A run takes 10 to 20 s on an idle machine. The loss of an agent that is killed before its hello is noticed when the
 * time to join is over, which is 120 s on Slurm.
 */
const BOUND_MS = Number(process.env.BOUND_SECONDS || 180) * 1_000;
const POINTS = 2;
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const recipe = `name: chaos
model: { path: chaos, container: chaos, precision: fp8 }
resources: { gpu_type: h100, gpus_per_node: 4, prefill_nodes: 1, prefill_workers: 1, decode_nodes: 1, decode_workers: 2 }
frontend: { type: sglang, enable_multiple_frontends: false }
sweep: { rate: [8, 16] }
backend:
  type: sglang
  sglang_config:
    prefill: { served-model-name: chaos, tensor-parallel-size: 4 }
    decode: { served-model-name: chaos, tensor-parallel-size: 2 }
slurm: { time_limit: "00:10:00" }
benchmark: { type: sa-bench, isl: 64, osl: 32, concurrencies: "{rate}", req_rate: inf, num_prompts_mult: 60, num_warmup_mult: 1 }
`;

/** The command of a trial, with the preload that causes the faults of `control` in the job's programs. */
function startJob(file, { fault, outputs, control, tmp, lab }) {
  const told = {
    SRTCTL_CHAOS: control,
    NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --import=${preload}`,
  };
  return spawn(
    process.execPath,
    [join(root, 'dist/srtctl.js'), 'apply', '-f', file, '--mock', lab ? '--watch' : '--local'],
    {
      cwd: root,
      env: {
        ...process.env,
        ...lab?.env,
        ...(fault.isTold ? told : {}),
        TMPDIR: tmp,
        SRTCTL_OUTPUT: outputs,
        SRTCTL_SIM_LOAD_MS: '100',
        SRTCTL_SIM_SPEED: '10',
      },
      stdio: 'ignore',
    },
  );
}

/** One run with one fault, on this machine or in the lab. The violated invariants are in `broken`. */
export async function runTrial(fault, { lab, disk }) {
  const work = mkdtempSync(join(tmpdir(), 'srtctl-chaos-'));
  const outputs = fault.onDisk ? mkdtempSync(join(disk.directory, 'outputs-')) : work;
  const control = join(work, 'control.json');
  const file = join(work, 'recipe.yaml');
  writeFileSync(file, recipe);
  // Coordinators search it for the remains of dead jobs, by the clock. A coordinator whose clock was set must not find
  // others' jobs.
  const tmp = fault.isTold ? mkdtempSync(join(work, 'tmp-')) : tmpdir();
  const before = readdirSync(tmp);
  const start = performance.now();
  const child = startJob(file, { fault, outputs, control, tmp, lab });
  const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(code ?? signal)));
  const broken = [];
  const finished = new Map();
  let jobId;
  const jobOf = () => readdirSync(outputs).find((name) => existsSync(join(outputs, name, `${name}.json`)));
  const watch = setInterval(() => {
    jobId ??= jobOf();
    for (const [path, text] of jobId ? resultsOf(join(outputs, jobId)) : [])
      if (text.includes('"status": "done"') && !finished.has(path)) finished.set(path, text);
  }, 100);
  const faulty = (async () => {
    await sleep(fault.atMs);
    while (jobId === undefined && child.exitCode === null) await sleep(50);
    if (child.exitCode === null && jobId !== undefined)
      await fault.apply({ jobId, jobDir: join(outputs, jobId), control, disk });
  })();
  const bound = sleep(BOUND_MS).then(() => undefined);
  const exitCode = await Promise.race([ended, bound]);
  clearInterval(watch);
  const tookMs = performance.now() - start;
  if (exitCode === undefined) {
    broken.push(`does not end within ${BOUND_MS / 1_000} s`);
    child.kill('SIGKILL');
  }
  await faulty;
  jobId ??= jobOf();
  // A fault needs a run that has a job.
  if (jobId === undefined) broken.push('there was no job');
  else {
    const jobDir = join(outputs, jobId);
    broken.push(...(await leftovers(jobId, tmp, before)));
    broken.push(...eventProblems(jobDir, fault.mayTear));
    broken.push(...resultProblems(jobDir, finished, { exitCode, points: POINTS, tookMs }));
    if (fault.isHarmless) broken.push(...harmProblems(jobDir, exitCode));
    lab?.slurm('scancel', '--full', jobId);
    for (const { pid } of processesOf(jobId)) process.kill(pid, 'SIGKILL');
  }
  fault.mend();
  if (fault.onDisk) {
    if (broken.length > 0) cpSync(outputs, work, { recursive: true });
    // The next trial uses the disk.
    disk.clear();
    rmSync(outputs, { recursive: true, force: true });
  }
  return { exitCode, tookMs, broken, outputs: work };
}
