// A thousand agents with eight processes each on one nats-server: one process fails, and everybody stops.
// `node scripts/bench/scale.mjs [agents] [trials]`. Real coordinator, agents, tables and connections; the agents share
// a few OS processes, what they run are numbers, and they do not look through /proc (it would be a thousand nodes').
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { percentile } from './figures.mjs';
import { root } from './jobs.mjs';

const BOUND_MS = 60_000;
const TRIAL_BOUND_MS = 45_000;

/**
 * `toldMs`: from the failure until the coordinator knew of an agent that it had heard the stop, of each in each trial;
 * `stoppedMs`: until nothing ran any more.
 * @returns {Promise<{toldMs: number[], stoppedMs: number[], deployedMs: number[], rssMb: number, cpuPercent: number}>}
 */
export async function measureScale(agents = 1000, trials = 3) {
  const work = mkdtempSync(join(tmpdir(), 'srtctl-scale-'));
  try {
    const noMarks = {
      name: 'no-marks',
      setup(esbuild) {
        esbuild.onLoad({ filter: /node-agent[\\/]marks\.ts$/ }, () => ({
          contents:
            'export const findProcesses = async () => []; export const findProcessesSync = () => []; export const isMarked = () => false;',
        }));
      },
    };
    await build({
      entryPoints: ['agents', 'coordinator'].map((name) => join(root, `scripts/bench/scale/${name}.ts`)),
      outdir: work,
      outExtension: { '.js': '.mjs' },
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node20',
      logLevel: 'warning',
      plugins: [noMarks],
      banner: {
        js: "import{createRequire as __cr}from'node:module';import{fileURLToPath as __fp}from'node:url';const require=__cr(import.meta.url),__filename=__fp(import.meta.url),__dirname=__fp(new URL('.',import.meta.url));",
      },
    });
    const args = [join(work, 'job'), join(work, 'agents.mjs'), `${agents}`, `${trials}`];
    const child = fork(join(work, 'coordinator.mjs'), args, { cwd: root });
    const figures = { toldMs: [], stoppedMs: [], deployedMs: [], rssMb: Number.NaN, cpuPercent: Number.NaN };
    child.on('message', ({ kind, ms, ...rest }) => {
      if (kind === 'stopped') {
        figures.stoppedMs.push(ms);
        figures.toldMs.push(...rest.toldMs);
      } else if (kind === 'deployed') figures.deployedMs.push(ms);
      else if (kind === 'end') Object.assign(figures, rest);
      if (process.env.VERBOSE) console.log(kind, ms ?? '', summary(rest));
    });
    // Figures so far are figures too.
    const timer = setTimeout(() => child.disconnect(), BOUND_MS + trials * TRIAL_BOUND_MS);
    await new Promise((resolve) => child.once('exit', resolve));
    clearTimeout(timer);
    return figures;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Of a thousand figures those that are asked for. */
const summary = ({ toldMs, ...rest }) =>
  toldMs === undefined
    ? rest
    : {
        toldMs: Object.fromEntries([0.5, 0.9, 0.99, 1].map((part) => [part, percentile(toldMs, part)])),
        ...rest,
      };

if (import.meta.url === pathToFileURL(process.argv[1]).href)
  console.log(summary(await measureScale(...process.argv.slice(2).map(Number))));
