import { readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const textOf = (pid, file) => {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'latin1').replaceAll('\0', '\n');
  } catch {
    return '';
  }
};
const isZombie = (pid) => / [ZX] /.test(textOf(pid, 'stat').replace(/^.*\)/s, ' '));

/** The kind of a process of the job, by its command line or its mark; undefined for other processes. */
function kindOf(pid, jobId) {
  const line = textOf(pid, 'cmdline');
  if (line === '' || isZombie(pid)) return undefined;
  // On Slurm a job's id is a number, which may appear anywhere.
  const isOwn = new RegExp(`[/=]${jobId}/|srtctl-\\d+-${jobId}-`).test(line);
  // The guards' own environment is empty; their mark is an argument.
  if (line.includes('guard.sh\n') && isOwn)
    return line.includes('SRTCTL_COORDINATOR') ? 'coordinator-guard' : 'agent-guard';
  if (/^(\S*\/)?srun\n/.test(line) && isOwn) return 'srun';
  if (line.includes('node-agent.js') && isOwn) return 'agent';
  if (line.includes('coordinator.js') && isOwn) return 'coordinator';
  if (line.includes('nats.conf') && isOwn) return 'nats-server';
  const env = textOf(pid, 'environ');
  if (!env.includes(`SRTCTL_JOB=${jobId}\n`)) return undefined;
  return (
    /SRTCTL_PROCESS=[^\n]*\/(prefill|decode|agg|frontend|benchmark|nginx|etcd)/.exec(env)?.[1] ?? 'child'
  );
}

/** Every process of a job, with its kind, in the order of the pids. */
export const processesOf = (jobId) =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .sort((a, b) => a - b)
    .flatMap((pid) => {
      const kind = kindOf(pid, jobId);
      return kind === undefined ? [] : [{ pid, kind }];
    });

/** undefined when the process is gone. */
export function parentOf(pid) {
  const [, parent] = /\) \S (\d+) /.exec(textOf(pid, 'stat')) ?? [];
  return parent === undefined ? undefined : Number(parent);
}

/** Ports that a local job has allocated, or is about to: the first of each of its blocks. */
export function plannedPorts(jobId) {
  const home = readdirSync(tmpdir()).find((name) => new RegExp(`^srtctl-\\d+-${jobId}-`).test(name));
  try {
    const given = JSON.parse(readFileSync(join(tmpdir(), home ?? '', 'ports.json'), 'utf8'));
    return [...new Set(Object.values(given))].sort((a, b) => a - b);
  } catch {
    return [];
  }
}
