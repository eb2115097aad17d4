// A thousand agents with eight processes each on one nats-server: one process fails, and all agents stop. `node
// scripts/bench/scale.mjs [agents] [trials]`. SRTCTL_BENCH_SAMPLES=100: meanwhile each agent publishes as many samples of each
// process each second. Coordinator, agents, tables and connections are real. The agents share a
// few OS processes, their workloads are numbers, and they do not scan /proc, because it would show the processes of a
// thousand nodes.
import { fork } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { percentile } from './figures.mjs';
import { root } from './jobs.mjs';

const BOUND_MS = 60_000;
const TRIAL_BOUND_MS = 45_000;

/**
 * Starts the coordinator, the server and the agents of a job, and gives the coordinator and the job's directory to `use`.
 * Ends them all when its promise settles.
 */
export async function withScale(agents, trials, use, env = {}) {
  const work = mkdtempSync(join(tmpdir(), 'srtctl-scale-'));
  try {
    const noMarks = {
      name: 'no-marks',
      setup(esbuild) {
        esbuild.onLoad({ filter: /node-agent[\\/]leftovers[\\/]marks\.ts$/ }, () => ({
          contents: `export const findProcesses = async () => [], findProcessesSync = () => [], isMarked = () => false;
            export const eachProcess = async () => undefined, isAlive = () => undefined, valueIn = () => undefined;
            export const processIdentity = String;`,
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
    const own = join(root, '.srtctl/bin/nats-server');
    // The bundles are not in an installation of srtctl.
    const server = existsSync(own) ? { SRTCTL_NATS_SERVER: own } : {};
    const child = fork(join(work, 'coordinator.mjs'), args, {
      cwd: root,
      env: { ...server, ...process.env, ...env },
    });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    try {
      return await use(child, join(work, 'job'), ended);
    } finally {
      if (child.connected) child.disconnect();
      await ended;
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * `toldMs`: from the failure until the coordinator knew that an agent had received the stop, for each agent and trial;
 * `stoppedMs`: until no process ran any more.
 * @returns {Promise<{toldMs: number[], stoppedMs: number[], deployedMs: number[], rssMb: number, cpuPercent: number}>}
 */
export function measureScale(agents = 1000, trials = 3) {
  return withScale(agents, trials, async (child, _, ended) => {
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
    await ended;
    clearTimeout(timer);
    return figures;
  });
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
