import { type ChildProcess, fork } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { DEFAULT_SUPERVISION, Roster } from '../../../src/coordinator/agents/roster.ts';
import { createJobKeys } from '../../../src/coordinator/bus-server/keys.ts';
import { NatsServer } from '../../../src/coordinator/bus-server/nats-server.ts';
import { Coordinator } from '../../../src/coordinator/coordinator.ts';
import { EpochLock } from '../../../src/coordinator/takeover/epoch-lock.ts';
import type { JobSpec } from '../../../src/messages/job-directory/job-files.ts';
import type { ProcessSpec } from '../../../src/messages/spec/process-spec.ts';
import type { PlannedPoint } from '../../../src/model/kinds.ts';
import { findProgram } from '../../../src/os/find-program.ts';
import { createSteadyClock } from '../../../src/os/steady-clock.ts';
import type { AgentLaunch } from '../../../src/platform/launch/launcher.ts';
import { sweepSettingsSchema } from '../../../src/recipe/values/sweep-settings.ts';

/** The real coordinator, with points whose processes end when asked to. Sends its figures to the parent. */
const [directory = '', agentScript = '', agentCount = '1000', trialCount = '3'] = process.argv.slice(2);
const HOSTS = 8;
const PER_AGENT = 8;
/** How long the job runs before a process fails. */
const IDLE_MS = Number(process.env.SCALE_IDLE_MS ?? 5_000);
const JOB = 'scale';
const nodes = Array.from({ length: Number(agentCount) }, (_, index) => `node${index + 1}`);
const ordinals = Array.from({ length: Number(trialCount) }, (_, ordinal) => ordinal);
const hosts: { child: ChildProcess; nodes: Set<string> }[] = [];
mkdirSync(join(directory, 'logs'), { recursive: true });
writeFileSync(join(directory, 'logs', 'none.out'), 'engine says nothing\n');

const specOf = (node: string, index: number, ordinal: number): ProcessSpec => ({
  ...{
    id: `agg-${node}-${index}`,
    role: 'agg',
    phase: 'worker',
    node,
    argv: ['engine', `${ordinal}`],
    env: {},
  },
  ...{ logFile: join(directory, 'logs', 'none.out'), gpus: [index], image: null, ports: {} },
  ...{ probe: { kind: 'running' }, critical: true, terminates: false, startTimeoutMs: 60_000 },
  ...{ graceMs: 1_000, unhealthyAfterMs: 60_000 },
});
const pointOf = (ordinal: number) => ({
  ...{ ordinal, name: `trial ${ordinal}`, params: null, recipe: { benchmark: {} } },
  ...{ endpoints: [], endpointProcesses: [], services: [], rest: [], entry: null },
  processes: nodes.flatMap((node) => Array.from({ length: PER_AGENT }, (_, n) => specOf(node, n, ordinal))),
  benchmark: { type: 'manual', process: null },
});

const keys = createJobKeys(nodes);
const pids = new Set<number>();
const nats = new NatsServer({
  ...{ jobId: JOB, host: '127.0.0.1', logFile: join(directory, 'nats.log'), keys, directory },
  binary: findProgram('nats-server', process.env, process.cwd()),
  began: (pid) => pids.add(pid),
  over: (pid) => pids.delete(pid),
  onRestart: (why) => process.stderr.write(`${why}\n`),
  onGone: (why) => process.stderr.write(`${why}\n`),
});
process.on('exit', () => {
  for (const pid of pids) process.kill(pid, 'SIGKILL');
});

// The parent has gone, or a signal ends the bench. nats-server has its own session and would stay.
for (const event of ['disconnect', 'SIGTERM', 'SIGINT', 'SIGHUP']) process.on(event, () => process.exit(1));
// Another bench asks for the CPU time while the job runs.
process.on('message', () => process.send?.({ kind: 'cpu', cpuMs: cpuMs() }));
let failedAt = 0;
let cpuBefore = cpuMs();
let point = 0;
let cpuPercent = 0;
let deployingAt = 0;
const rssMb = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024;

/** When each agent first reported the newest generation, which is the stop after a point has failed. */
const heardAt = { generation: 0, of: new Map<string, number>() };
const heartbeat = Roster.prototype.heartbeat;
Roster.prototype.heartbeat = function (message) {
  if (message.generation > heardAt.generation) {
    heardAt.generation = message.generation;
    heardAt.of.clear();
  }
  if (message.generation === heardAt.generation && !heardAt.of.has(message.node))
    heardAt.of.set(message.node, Date.now());
  heartbeat.call(this, message);
};

/** CPU time that the agents, the server and the coordinator have used, ms. */
function cpuMs() {
  const of = (pid: number | undefined) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]?.split(' ') ?? [];
    return (Number(fields[11]) + Number(fields[12])) * 10;
  };
  return {
    agents: hosts.reduce((sum, { child }) => sum + of(child.pid), 0),
    server: [...pids].reduce((sum, pid) => sum + of(pid), 0),
    coordinator: of(process.pid),
  };
}

const cpuSince = (before: ReturnType<typeof cpuMs>) => {
  const now = cpuMs();
  return {
    agents: now.agents - before.agents,
    server: now.server - before.server,
    coordinator: now.coordinator - before.coordinator,
  };
};

/** Reads the states of points from the coordinator's own log, because another reader of the stream would cost time. */
async function onState(to: string): Promise<void> {
  if (to === 'deploying') {
    deployingAt = Date.now();
    cpuBefore = cpuMs();
  }
  if (to === 'failed') failedAt = 0;
  if (to !== 'benchmarking') return;
  process.send?.({ kind: 'deployed', ms: Date.now() - deployingAt, cpuMs: cpuSince(cpuBefore) });
  // A failure comes during a benchmark, when the bus is quiet.
  const [before, at] = [cpuMs(), performance.now()];
  await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
  const idle = cpuSince(before);
  cpuPercent = (100 * idle.coordinator) / (performance.now() - at);
  process.send?.({ kind: 'idle', ms: Math.round(performance.now() - at), cpuMs: idle });
  const victim = nodes[Math.floor((nodes.length * (point++ + 0.5)) / ordinals.length)] ?? '';
  cpuBefore = cpuMs();
  hosts.find((host) => host.nodes.has(victim))?.child.send({ fail: victim });
}
const log = pino(
  { base: null },
  {
    write(line: string) {
      const { msg, to, level, why, cleanMs } = JSON.parse(line);
      if (to === 'failed' && failedAt === 0) process.stderr.write(`not deployed: ${why}\n`);
      if (msg === 'point') void onState(to);
      // A point that could not be deployed is cleaned up too, and measures nothing.
      if (msg === 'cleanup' && failedAt > 0) {
        const ms = Date.now() - failedAt;
        const toldMs = [...heardAt.of.values()].map((at) => at - failedAt).sort((a, b) => a - b);
        const noticedMs = ms - cleanMs;
        process.send?.({ kind: 'stopped', ms, noticedMs, toldMs, cpuMs: cpuSince(cpuBefore) });
      }
      if (level >= 40) process.stderr.write(line);
    },
  },
);

await nats.start();
const spec: JobSpec = {
  ...{ jobId: JOB, name: JOB, mock: true, submittedAt: '', tags: [], jobDir: directory, nodes },
  ...{ setupScript: null, variant: null, cluster: null },
  v: 1,
  mode: 'local',
};
const epochLock = new EpochLock(directory, 1);
epochLock.claim();
const coordinator = new Coordinator({
  ...{
    nats,
    keys,
    log,
    points: ordinals.map((ordinal) => ({ ordinal, name: `trial ${ordinal}` })),
    joinTimeoutMs: 120_000,
    epoch: 1,
    agentExtras: { stopDirs: join(directory, 'stop') },
    signatures: 'src/why/signatures.yaml',
  },
  spec,
  agents: nodes.map((node) => ({ name: node, node, group: { name: '', image: null } })),
  plan: () => ({
    ...{ name: JOB, totalNodes: nodes.length, gpusPerNode: 8, ordinals, groups: [ordinals] },
    point: (ordinal) => pointOf(ordinal) as unknown as PlannedPoint,
    hostSetup: () => null,
  }),
  sweep: sweepSettingsSchema.parse({}),
  results: [],
  relaunchAgents: false,
  spareNodes: 0,
  endsAt: null,
  clock: createSteadyClock(),
  home: directory,
  epochLock,
  found: null,
  onNodes: () => Promise.resolve(),
  notDone: () => [],
  pointDir: (ordinal) => join(directory, `${ordinal}`),
  supervision: {
    ...DEFAULT_SUPERVISION,
    lostAfterMs: 30_000,
    suspectAfterMs: 20_000,
    reconnectMs: 30_000,
    leaseMs: 60_000,
  },
  platform: {
    ...{ addresses: new Map(), hostNames: 'addresses', containers: false, claim: null, launched: [] },
    adoptAgents: () => [],
    endAgents: () => undefined,
    launchAgents: (agents) => launch(agents),
    async stop() {
      for (const { child } of hosts) child.disconnect();
    },
    async release() {},
  },
});
await coordinator.run();
process.send?.({ kind: 'end', rssMb: rssMb(), cpuPercent }, () => process.exit(0));

function launch(agents: readonly AgentLaunch[]): void {
  for (let n = 0; n < HOSTS; n++) {
    const own = agents.filter((_, index) => index % HOSTS === n);
    const list = join(directory, `agents-${n}.json`);
    writeFileSync(list, JSON.stringify(own.map(({ configFile }) => configFile)));
    const child = fork(agentScript, [list]);
    child.on('message', (message: { failedAt: number }) => {
      failedAt = message.failedAt;
    });
    hosts.push({ child, nodes: new Set(own.map(({ node }) => node)) });
  }
}
