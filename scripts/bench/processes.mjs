// Processes of this machine, from /proc. Any of them may have ended meanwhile.
import { readdirSync, readFileSync } from 'node:fs';
import { sleep } from './figures.mjs';

/** A file's text; '' when the file does not exist. */
export function read(path) {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

export const allPids = () =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number);

/** Arguments end with NUL. */
export const commandLine = (pid) => read(`/proc/${pid}/cmdline`);
/** Entries end with NUL; a NUL is also before the first one. */
export const environment = (pid) => `\0${read(`/proc/${pid}/environ`)}`;

/**
 * The fields of /proc/PID/stat from the state on (the third of proc(5)), because the name before it may contain any
 * character.
 */
const stat = (pid) =>
  read(`/proc/${pid}/stat`)
    .replace(/^.*\) /s, '')
    .split(' ');
/** A zombie has ended. */
export const lives = (pid) => /^[^ZX]$/.test(stat(pid)[0]);
export const parentOf = (pid) => Number(stat(pid)[1]);
/** USER_HZ is 100 on Linux: a tick is 10 ms. */
export const cpuMs = (pid) => 10 * (Number(stat(pid)[11]) + Number(stat(pid)[12]));

/** The start of a process, ms since the epoch, to a hundredth of a second. */
export function beganAt(pid) {
  const uptimeMs = Number(read('/proc/uptime').split(' ')[0]) * 1000;
  return Date.now() - uptimeMs + 10 * Number(stat(pid)[19]);
}

export const rssMb = (pid) => Number(/VmRSS:\s+(\d+)/.exec(read(`/proc/${pid}/status`))?.[1]) / 1024;

/** A job's processes on a node, identified by the agent's own file in the command line. */
export function agentOf(jobId, node) {
  const isIt = (line) =>
    line.includes('node-agent.js') && line.includes(`${jobId}/`) && line.includes(`agent-${node}.json`);
  const pid = allPids().find((each) => isIt(commandLine(each)));
  if (pid === undefined) throw new Error(`no agent of ${node}`);
  return pid;
}

export function signal(pid, name = 'SIGKILL') {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/** The first true value of `holds`, which is called every few ms; undefined after the time limit. */
export async function until(holds, { ms = 60_000, everyMs = 5 } = {}) {
  for (const end = performance.now() + ms; ; await sleep(everyMs)) {
    const value = await holds();
    if (value) return value;
    if (performance.now() > end) return undefined;
  }
}

/** ms until no process of `pids` exists any more; Infinity when that takes longer than `ms`. */
export async function goneAfter(pids, ms = 60_000) {
  const since = performance.now();
  const isGone = await until(() => !pids.some(lives), { ms, everyMs: 2 });
  return isGone ? performance.now() - since : Number.POSITIVE_INFINITY;
}
