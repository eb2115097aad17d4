import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { processesOf } from './processes.mjs';

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const components = ['agent', 'agent-guard', 'coordinator', 'coordinator-guard', 'nats-server'];
const workloads = ['prefill', 'decode', 'frontend', 'benchmark'];
const isRoot = process.getuid() === 0;

const signal = (pid, name) => {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended by itself.
  }
};

/**
 * A fault by its seed: what, and when after the start. `apply` does it. In the lab nodes lose their network and power, too;
 * never the first one, on which the job itself is.
 */
export function chooseFault(random, lab) {
  const atMs = 300 + random() * (lab ? 12_000 : 7_500);
  const own = lab ? ['cut', 'cut', 'power off'] : isRoot ? ['disk full'] : [];
  const kinds = ['kill', 'kill', 'freeze', 'freeze', 'nats storm', ...own];
  const kind = kinds[Math.floor(random() * kinds.length)];
  const all = [...components, ...(lab ? ['srun'] : []), ...workloads];
  const target = all[Math.floor(random() * all.length)];
  const which = random();
  const frozenMs = 200 + random() * 9_000;
  const node = `node${2 + Math.floor(which * ((lab?.nodes.length ?? 2) - 1))}`;
  const pick = (jobId) => {
    const found = processesOf(jobId).filter((each) => each.kind === target);
    return found[Math.floor(which * found.length)]?.pid;
  };
  const what = {
    kill: `kill -9 of ${target}`,
    freeze: `${target} frozen for ${(frozenMs / 1000).toFixed(1)} s`,
    'nats storm': 'nats-server killed four times, frozen in between',
    'disk full': 'the disk of the results is full',
    cut: `${node} cut off for ${(frozenMs / 500).toFixed(1)} s`,
    'power off': `${node} powered off`,
  }[kind];
  return {
    kind,
    target,
    atMs,
    what: `${what}, ${(atMs / 1000).toFixed(1)} s after the start`,
    async apply({ jobId, outputs }) {
      if (kind === 'disk full') return fill(outputs);
      if (kind === 'nats storm') return storm(jobId, random);
      if (kind === 'power off') return void lab.control('kill', node);
      if (kind === 'cut') {
        lab.control('cut', node);
        await sleep(frozenMs * 2);
        return void lab.control('heal', node);
      }
      const pid = pick(jobId);
      if (pid === undefined) return;
      signal(pid, kind === 'kill' ? 'SIGKILL' : 'SIGSTOP');
      if (kind !== 'freeze') return;
      await sleep(frozenMs);
      signal(pid, 'SIGCONT');
    },
    /** What is to be put right before the next trial. */
    mend() {
      if (kind === 'power off') lab.control('start', node);
    },
  };
}

async function storm(jobId, random) {
  for (let round = 0; round < 4; round++) {
    const [server] = processesOf(jobId).filter((each) => each.kind === 'nats-server');
    if (server) {
      signal(server.pid, 'SIGSTOP');
      await sleep(random() * 800);
      signal(server.pid, 'SIGCONT');
      signal(server.pid, 'SIGKILL');
    }
    await sleep(random() * 2_500);
  }
}

/** A small file system of its own for the results, so that it can be filled. */
export function smallDisk(directory) {
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'srtctl-chaos', directory]);
  return () => execFileSync('umount', ['-l', directory]);
}

function fill(directory) {
  try {
    for (let n = 0; n < 64; n++) writeFileSync(join(directory, `fill-${n}`), Buffer.alloc(65_536));
  } catch (error) {
    if (error.code !== 'ENOSPC') throw error;
  }
}
