// `srtctl watch` on a job of a thousand agents with eight processes each: time to its first frame with all processes, CPU
// time and memory, and what the watchers cost coordinator and agents. `node scripts/bench/watch.mjs [agents] [watchers]`
// after `make build`. Each watcher has a terminal of
// tmux, which must be there.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { machine, seconds, sleep, table } from './figures.mjs';
import { root } from './jobs.mjs';
import { withScale } from './scale.mjs';

const [agents = 1000, watchers = 1] = process.argv.slice(2).map(Number);
const [COLUMNS, ROWS] = [200, 50];
const BEFORE_MS = 10_000;
const MEASURED_MS = 20_000;
const LOOK_MS = 50;
const SERVER = `srtctl-bench-${process.pid}`;
const row = table(44, 16);

/** CPU time of a process so far, ms. */
const cpuOf = (pid) => {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
};
/** Bytes that a process has written: to its terminal, and a little to the bus. */
const writtenBy = (pid) => Number(/wchar: (\d+)/.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))[1]);
const highestMb = (pid) =>
  Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;

const tmux = (...args) =>
  execFileSync('tmux', ['-L', SERVER, '-f', '/dev/null', ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });

/** Starts a watcher. `shown`: ms until its screen had a first frame, and all processes. */
function startWatcher(jobDir, processes) {
  const began = performance.now();
  const size = ['-x', `${COLUMNS}`, '-y', `${ROWS}`];
  const command = `exec ${process.execPath} ${join(root, 'dist/srtctl.js')} watch ${jobDir}`;
  const pane = tmux('new-session', '-d', ...size, '-P', '-F', '#{pane_id} #{pane_pid}', command).trim();
  const [id, pid] = pane.split(' ');
  const until = async (text) => {
    while (!tmux('capture-pane', '-p', '-t', id).includes(text)) await sleep(LOOK_MS);
    return { ms: performance.now() - began, cpuMs: cpuOf(Number(pid)) };
  };
  const shown = until('q back').then(async (first) => ({
    first,
    all: await until(`${processes} processes`),
  }));
  return { pid: Number(pid), shown, end: () => tmux('send-keys', '-t', id, 'q') };
}

await withScale(
  agents,
  1,
  async (coordinator, jobDir) => {
    const deployed = new Promise((resolve) => {
      coordinator.on('message', ({ kind }) => kind === 'deployed' && resolve());
    });
    const cpu = () =>
      new Promise((resolve) => {
        const hear = ({ kind, cpuMs }) => {
          if (kind !== 'cpu') return;
          coordinator.off('message', hear);
          resolve(cpuMs);
        };
        coordinator.on('message', hear);
        coordinator.send('cpu');
      });
    await deployed;
    // Of Slurm, because watch would look for the coordinator of a local job in /proc.
    const spec = {
      ...{
        v: 1,
        jobId: 'job',
        name: 'scale',
        mode: 'slurm',
        mock: true,
        submittedAt: new Date().toISOString(),
      },
      ...{ tags: [], jobDir, nodes: [], setupScript: null, variant: null, cluster: null },
      slurm: { jobId: '1', own: false },
    };
    writeFileSync(join(jobDir, 'job.json'), JSON.stringify(spec));
    await sleep(5_000);
    const share = async (ms) => {
      const before = await cpu();
      await sleep(ms);
      const after = await cpu();
      return (of) => ((100 * (after[of] - before[of])) / ms).toFixed(1);
    };
    const alone = await share(BEFORE_MS);
    const all = Array.from({ length: watchers }, () => startWatcher(jobDir, 8 * agents));
    const shown = await Promise.all(all.map(({ shown: each }) => each));
    await sleep(3_000);
    const before = all.map(({ pid }) => [cpuOf(pid), writtenBy(pid)]);
    const watched = await share(MEASURED_MS);
    const worst = (of) => Math.max(...all.map(of));
    const used = ({ pid }, at) => ((cpuOf(pid) - before[at][0]) / MEASURED_MS) * 100;
    const sent = ({ pid }, at) => (writtenBy(pid) - before[at][1]) / 1024 / (MEASURED_MS / 1000);
    console.log(machine());
    row(`${watchers} watchers, ${agents} agents, ${8 * agents} processes`, 'the worst one');
    for (const [name, of] of [
      ['first frame', 'first'],
      ['first frame with all processes', 'all'],
    ]) {
      row(name, seconds(Math.max(...shown.map((each) => each[of].ms))));
      row('  CPU time until then', seconds(Math.max(...shown.map((each) => each[of].cpuMs))));
    }
    row('CPU, % of a core', worst(used).toFixed(1));
    row('memory at its highest, MiB', worst(({ pid }) => highestMb(pid)).toFixed(0));
    row('written, KiB/s', worst(sent).toFixed(1));
    for (const of of ['coordinator', 'agents', 'server'])
      row(`${of}, % of a core: alone, watched`, `${alone(of)}, ${watched(of)}`);
    for (const { end } of all) end();
    await sleep(1_000);
  },
  { SCALE_IDLE_MS: '600000' },
).finally(() => {
  try {
    tmux('kill-server');
  } catch {
    // It has ended with its last watcher.
  }
});
