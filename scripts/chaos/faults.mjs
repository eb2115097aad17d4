import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { flood } from './flood.mjs';
import { parentOf, plannedPorts, processesOf } from './processes.mjs';

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const components = ['agent', 'agent-guard', 'coordinator', 'coordinator-guard', 'nats-server'];
const workloads = ['prefill', 'decode', 'frontend', 'benchmark'];
const HOUR_MS = 3_600_000;
const seconds = (ms) => `${(ms / 1_000).toFixed(1)} s`;

const signal = (pid, name) => {
  try {
    process.kill(pid, name);
  } catch {
    // The process has already ended.
  }
};
/** One process of a kind of the job; `which`: from 0 to 1. */
const pidOf = (jobId, kind, which = 0) => {
  const found = processesOf(jobId).filter((each) => each.kind === kind);
  return found[Math.floor(which * found.length)]?.pid;
};
/** Resolves when another process of a kind exists (with this parent, if one is given), or when none will follow. */
async function successorOf(jobId, kind, pid, parent) {
  const until = performance.now() + 5_000;
  const isNext = (each) =>
    each.kind === kind && each.pid !== pid && (parent === undefined || parentOf(each.pid) === parent);
  while (performance.now() < until && !processesOf(jobId).some(isNext)) await sleep(1);
}
const oneOf = (all, random) => all[Math.floor(random() * all.length)];
const target = (random, lab) => oneOf([...components, ...(lab ? ['srun'] : []), ...workloads], random);
/** Never the first node of the lab, because the coordinator runs on that node. */
const nodeOf = (random, lab) => `node${2 + Math.floor(random() * (lab.nodes.length - 1))}`;
/** The last line of events.jsonl may then be incomplete. */
const tears = (kind) => kind?.startsWith('coordinator') === true;

/**
 * The kinds of faults. `what` describes a fault, and `apply({ jobId, control, disk })` causes it. `isHarmless`: no
 * agent may be lost, and the run must end well. `onDisk`: the fault needs the separate disk. `isTold`: the programs
 * cause the fault in themselves, as the control file says (preload.mjs).
 */
const makers = {
  kill(random, lab) {
    const [kind, which] = [target(random, lab), random()];
    return {
      what: `kill -9 of ${kind}`,
      mayTear: tears(kind),
      apply({ jobId }) {
        const pid = pidOf(jobId, kind, which);
        if (pid !== undefined) signal(pid, 'SIGKILL');
      },
    };
  },

  freeze(random, lab) {
    const [kind, which, ms] = [target(random, lab), random(), 200 + random() * 9_000];
    return {
      what: `${kind} frozen for ${seconds(ms)}`,
      mayTear: tears(kind),
      async apply({ jobId }) {
        const pid = pidOf(jobId, kind, which);
        if (pid === undefined) return;
        signal(pid, 'SIGSTOP');
        await sleep(ms);
        signal(pid, 'SIGCONT');
      },
    };
  },

  'nats storm': (random) => ({
    what: 'nats-server killed four times, frozen in between',
    async apply({ jobId }) {
      for (let round = 0; round < 4; round++) {
        const pid = pidOf(jobId, 'nats-server');
        const [frozenMs, pauseMs] = [random() * 800, random() * 2_500];
        if (pid !== undefined) {
          signal(pid, 'SIGSTOP');
          await sleep(frozenMs);
          signal(pid, 'SIGCONT');
          signal(pid, 'SIGKILL');
        }
        await sleep(pauseMs);
      }
    },
  }),

  // The successor knows only a server that has ended, while the restarted server runs.
  'bus and coordinator'(random) {
    const ms = random() * 50;
    return {
      what: `kill -9 of nats-server, and of the coordinator ${ms.toFixed(0)} ms after it was started again`,
      mayTear: true,
      async apply({ jobId }) {
        const server = pidOf(jobId, 'nats-server');
        if (server === undefined) return;
        signal(server, 'SIGKILL');
        await successorOf(jobId, 'nats-server', server);
        await sleep(ms);
        const pid = pidOf(jobId, 'coordinator');
        if (pid !== undefined) signal(pid, 'SIGKILL');
      },
    };
  },

  // A guard that has just started has received nothing yet.
  'new guard'(random) {
    const whose = oneOf(['agent', 'coordinator'], random);
    const [which, ms] = [random(), random() * 20];
    return {
      what: `kill -9 of a guard, and of its ${whose} ${ms.toFixed(0)} ms after the next guard began`,
      mayTear: true,
      async apply({ jobId }) {
        const guard = pidOf(jobId, `${whose}-guard`, which);
        const owner = guard === undefined ? undefined : parentOf(guard);
        if (owner === undefined) return;
        signal(guard, 'SIGKILL');
        await successorOf(jobId, `${whose}-guard`, guard, owner);
        await sleep(ms);
        signal(owner, 'SIGKILL');
      },
    };
  },

  // Another program takes a port that a later process of the plan needs, and answers every request.
  stranger(random) {
    const which = random();
    const server = createServer((_, answer) => answer.end('{"data": [{"id": "stranger"}]}'));
    return {
      what: 'a stranger takes a port of the plan, on every address',
      async apply({ jobId }) {
        const ports = plannedPorts(jobId);
        const port = ports[Math.floor(which * ports.length)];
        if (port === undefined) return;
        // The job has already taken the port.
        await new Promise((resolve) => server.once('error', resolve).listen(port, '0.0.0.0', resolve));
      },
      mend: () => server.close(),
    };
  },

  flood(random) {
    const [which, ms, seed] = [random(), 1_000 + random() * 6_000, Math.floor(random() * 1e9)];
    return {
      what: `an agent's key is used to flood the bus for ${seconds(ms)}`,
      isHarmless: true,
      apply: ({ jobId, jobDir }) => flood({ jobId, jobDir, which, ms, seed }),
    };
  },

  'read-only': () => ({
    what: 'the disk of the results becomes read-only',
    onDisk: true,
    mayTear: true,
    apply: ({ disk }) => disk.makeReadOnly(),
  }),

  messages(random) {
    const told = { seed: Math.floor(random() * 1e9), lost: 0.15, repeated: 0.15, late: 0.3 };
    const ms = 1_000 + random() * 9_000;
    return {
      what: `messages lost, repeated, late and out of order for ${seconds(ms)}`,
      isHarmless: true,
      isTold: true,
      async apply({ control }) {
        writeFileSync(control, JSON.stringify({ messages: told }));
        await sleep(ms);
        writeFileSync(control, '{}');
      },
    };
  },

  clock(random) {
    const kinds = ['coordinator', 'agent', 'engine', 'command'];
    const whose = oneOf([...kinds, 'all', 'all'], random);
    const aheadMs = random() < 0.5 ? HOUR_MS : -HOUR_MS;
    const [pauseMs, then] = [random() * 3_000, oneOf([null, null, 'coordinator', 'nats-server'], random)];
    const clock = Object.fromEntries((whose === 'all' ? kinds : [whose]).map((kind) => [kind, aheadMs]));
    const way = aheadMs > 0 ? 'forwards' : 'back';
    return {
      what: `the clock of ${whose} jumps an hour ${way}${then ? `, then kill -9 of ${then}` : ''}`,
      isTold: true,
      isHarmless: then === null,
      mayTear: tears(then),
      async apply({ jobId, control }) {
        writeFileSync(control, JSON.stringify({ clock }));
        await sleep(pauseMs);
        const pid = then && pidOf(jobId, then);
        if (pid) signal(pid, 'SIGKILL');
      },
    };
  },

  'disk full': () => ({
    what: 'the disk of the results is full',
    onDisk: true,
    mayTear: true,
    apply: ({ disk }) => disk.fill(),
  }),

  // Shorter than a lease, with time for the consequences.
  'stalled disk'(random) {
    const ms = 1_000 + random() * 5_500;
    return {
      what: `the disk of the results stands still for ${seconds(ms)}`,
      onDisk: true,
      isHarmless: true,
      apply: ({ disk }) => disk.stall(ms),
    };
  },

  'slow disk'(random) {
    const stalls = Array.from({ length: 8 }, () => ({ ms: 200 + random() * 900, pauseMs: random() * 400 }));
    return {
      what: 'the disk of the results is slow: it stands still again and again',
      onDisk: true,
      isHarmless: true,
      async apply({ disk }) {
        for (const { ms, pauseMs } of stalls) {
          await disk.stall(ms);
          await sleep(pauseMs);
        }
      },
    };
  },

  cut(random, lab) {
    const [node, ms] = [nodeOf(random, lab), 400 + random() * 18_000];
    return {
      what: `${node} cut off for ${seconds(ms)}`,
      async apply() {
        lab.control('cut', node);
        await sleep(ms);
        lab.control('heal', node);
      },
    };
  },

  'power off'(random, lab) {
    const node = nodeOf(random, lab);
    return {
      what: `${node} powered off`,
      apply: () => void lab.control('kill', node),
      /** Undone before the next trial. */
      mend: () => void lab.control('start', node),
    };
  },
};

const common = [
  ...['bus and coordinator', 'new guard', 'new guard', 'flood'],
  ...['nats storm', 'messages', 'clock', 'clock', 'disk full', 'stalled disk', 'slow disk'],
];
const kindsHere = (lab) => [
  'kill',
  'kill',
  'kill',
  'freeze',
  'freeze',
  ...common,
  // On the lab's nodes the plan's ports are fixed, and the nodes are not this machine. The nodes hold the disk's mount,
  // so a disk that has become read-only would stay read-only for all trials.
  ...(lab ? ['cut', 'cut', 'power off'] : ['stranger', 'stranger', 'read-only']),
];

/** A fault by its seed: its kind, and its time after the start. `only`: always this kind. */
export function chooseFault(random, lab, only) {
  const atMs = 300 + random() * (lab ? 12_000 : 7_500);
  const drawn = oneOf(kindsHere(lab), random);
  const kind = only ?? drawn;
  if (!kindsHere(lab).includes(kind))
    throw new Error(`KIND is one of ${[...new Set(kindsHere(lab))].join(', ')}`);
  const fault = makers[kind](random, lab);
  return {
    mend: () => undefined,
    ...fault,
    kind,
    atMs,
    what: `${fault.what}, ${seconds(atMs)} after the start`,
  };
}
