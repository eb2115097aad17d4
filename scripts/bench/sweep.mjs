// `npm run bench:sweep [real|loads|long|lab]`: sweeps as users run them. They take minutes, so they are not part of
// `npm run bench`. Only `lab` needs the Slurm lab, and root; see test/slurm-lab/README.md.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { startLab } from '../chaos/lab.mjs';
import { median, table } from './figures.mjs';
import { havePublicRecipes, publicRecipes, srtctl, withDirectory, writeRecipe } from './jobs.mjs';
import { loadsOf, resultsIn, runSweep, sweepRecipe, turnarounds } from './sweeps.mjs';

const only = process.argv[2];
const print = table(58, 44);
const row = (what, value, aim = '') => print(what, value, aim);

const turnText = (events) => {
  const steps = turnarounds(events);
  return `${median(steps)} ms, at worst ${Math.max(...steps)} ms`;
};

/** Five variants of public `zip_override`s, as their authors wrote them except for the benchmark's length. */
async function real(work) {
  const names = [
    'b200-fp4/1k1k.yaml:stp_maxtpt_0',
    'b200-fp4/8k1k.yaml:mtp_lowlat_0',
    'b200-fp8/1k1k.yaml:stp_lowlat_0',
    'b200-fp8/glm5.yaml:1k1k_hightpt_0',
    'gb300-fp4/glm5-mtp.yaml:mtp_8k1k_lowlat_0',
  ];
  for (const name of names) {
    const argv = [srtctl, 'resolve-override', '-f', join(publicRecipes, name)];
    const { stdout, stderr, status } = spawnSync(process.execPath, argv, { encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    const recipe = parse(stdout);
    Object.assign(recipe.benchmark, { concurrencies: '2', num_prompts_mult: 1, num_warmup_mult: 0 });
    const file = writeRecipe(work, name.replaceAll(/\W+/g, '-'), stringify(recipe));
    const { exitCode, said, seconds } = await runSweep(file, { work });
    row(name, `exit code ${exitCode}, ${seconds.toFixed(0)} s`, '0');
    if (exitCode !== 0) console.log(said);
  }
}

/** 3 settings of the servers × 4 of the benchmark: in one job, and as twelve jobs. */
async function loads(work) {
  const loadMs = Number(process.env.BENCH_LOAD_MS ?? 20_000);
  const env = { SRTCTL_SIM_LOAD_MS: String(loadMs) };
  const settings = { server: ', mem-fraction-static: "{fraction}"', concurrencies: '{c}' };
  const sweep = 'fraction: [0.7, 0.8, 0.9], c: [1, 2, 3, 4]';
  const one = await runSweep(sweepRecipe({ sweep, ...settings }), { work, env, args: ['--nodes', '4'] });
  row(
    '12 points, 3 settings of the servers, one job',
    `${one.seconds.toFixed(0)} s, exit code ${one.exitCode}`,
  );
  row('  loads of an engine', String(loadsOf(one.events, 'prefill-0-0')), '3');
  row('  results', String(resultsIn(one.jobDir)), '12');
  row('  from a point to the next that restarts nothing', turnText(one.events), 'under 150 ms');
  const single = sweepRecipe({ sweep: 'fraction: [0.7], c: [1]', ...settings });
  const alone = await runSweep(single, { work, env, args: ['--nodes', '4'] });
  const ratio = (12 * alone.seconds) / one.seconds;
  row(
    '  the same as twelve jobs (12 × one, without queueing)',
    `${(12 * alone.seconds).toFixed(0)} s, ${ratio.toFixed(1)} ×`,
  );
}

/** A grid of four lists of four: memory and files at point 32 and at the end. */
async function long(work) {
  const sweep = 'fraction: [0.6, 0.7, 0.8, 0.9], c: [1, 2, 3, 4], isl: [32, 48, 64, 80], osl: [4, 8, 12, 16]';
  const recipe = sweepRecipe({
    sweep,
    server: ', mem-fraction-static: "{fraction}"',
    concurrencies: '{c}',
    isl: '"{isl}"',
    osl: '"{osl}"',
  });
  const run = await runSweep(recipe, { work, at: [32, 128, 250], limitMs: 1_500_000 });
  row('256 points', `exit code ${run.exitCode}, ${run.seconds.toFixed(0)} s`, '0');
  if (run.exitCode !== 0) return console.log(run.said);
  row(
    '  results, loads of an engine',
    `${resultsIn(run.jobDir)}, ${loadsOf(run.events, 'prefill-0-0')}`,
    '256, 4',
  );
  for (const { done, coordinator, agents, events, state } of run.measured) {
    const memory = `coordinator ${coordinator.toFixed(0)} MB, agents ${agents.map((mb) => mb.toFixed(0)).join(', ')} MB`;
    row(`  at point ${done}`, memory);
    const size = (bytes) => `${(bytes / 1024).toFixed(0)} KiB`;
    row('    events.jsonl, state.json', `${size(events)} (${size(events / done)} a point), ${size(state)}`);
  }
  row('  from a point to the next that restarts nothing', turnText(run.events), 'under 150 ms');
}

/** The same sweep as one Slurm job and as one job for each point, each with the whole lab. */
async function inLab(work) {
  const loadMs = process.env.BENCH_LOAD_MS ?? '5000';
  const lab = startLab(4);
  try {
    const took = {};
    for (const allocation of ['shared', 'per-point']) {
      const text = sweepRecipe({
        sweep: `allocation: ${allocation}, fraction: [0.7, 0.8, 0.9], c: [1, 2, 3, 4]`,
        server: ', mem-fraction-static: "{fraction}"',
        concurrencies: '{c}',
        requests: '10',
        nodes: 4,
      });
      // Two jobs on one node would use the same ports.
      const own = 'slurm: { time_limit: "00:10:00" }\nsbatch_directives: { exclusive: "" }\n';
      const file = writeRecipe(work, allocation, `${text}${own}`);
      const outputs = join(work, `out-${allocation}`);
      const began = performance.now();
      const argv = [srtctl, 'apply', '-f', file, '--mock', '--watch', '--yes', '--output', outputs];
      const env = { ...process.env, ...lab.env, SRTCTL_SIM_LOAD_MS: loadMs, SRTCTL_SIM_SPEED: '10' };
      const { status, stdout, stderr } = spawnSync(process.execPath, argv, {
        encoding: 'utf8',
        env,
        cwd: work,
      });
      took[allocation] = (performance.now() - began) / 1_000;
      if (status !== 0)
        throw new Error(`${allocation} ended with ${status}: ${stderr}${stdout.slice(-3_000)}`);
      const jobs = readdirSync(outputs).map((name) => join(outputs, name));
      const results = jobs.reduce((sum, dir) => sum + resultsIn(dir), 0);
      row(
        `12 points, load ${Number(loadMs) / 1_000} s, 4 nodes of the lab, ${allocation}`,
        `${took[allocation].toFixed(1)} s, ${jobs.length} jobs, ${results} results`,
      );
    }
    row('  per-point / shared', `${(took['per-point'] / took.shared).toFixed(2)} ×`);
  } finally {
    lab.down();
  }
}

await withDirectory(async (work) => {
  for (const [name, bench] of Object.entries({ real, loads, long, lab: inLab })) {
    if (only === undefined ? name === 'lab' : only !== name) continue;
    if (name === 'real' && !havePublicRecipes())
      console.log('public recipes: left out, ../shared/recipes is not there');
    else await bench(work);
  }
});
