// A thousand agents with eight processes each on one nats-server: one process fails, and all agents stop. `node
// scripts/bench/scale.mjs [agents] [trials]`. Coordinator, agents, tables and connections are real. The agents share a
// few OS processes, their workloads are numbers, and they do not scan /proc, because it would show the processes of a
// thousand nodes.
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
 * `toldMs`: from the failure until the coordinator knew that an agent had received the stop, for each agent and trial;
 * `stoppedMs`: until no process ran any more.
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
    // Figures of completed trials are still valid.
    const timer = setTimeout(() => child.disconnect(), BOUND_MS + trials * TRIAL_BOUND_MS);
    await new Promise((resolve) => child.once('exit', resolve));
    clearTimeout(timer);
    return figures;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Selects the requested figures from about a thousand. */
const summary = ({ toldMs, ...rest }) =>
  toldMs === undefined
    ? rest
    : {
        toldMs: Object.fromEntries([0.5, 0.9, 0.99, 1].map((part) => [part, percentile(toldMs, part)])),
        ...rest,
      };

if (import.meta.url === pathToFileURL(process.argv[1]).href)
  console.log(summary(await measureScale(...process.argv.slice(2).map(Number))));
