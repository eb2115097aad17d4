import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, it } from 'vitest';
import type { Bus } from '../../../src/messages/bus/bus.ts';
import { desiredReplySchema, helloSchema } from '../../../src/messages/events/control.ts';
import { subjectsOf } from '../../../src/messages/events/subjects.ts';
import { writeJson } from '../../../src/messages/job-directory/files.ts';
import { endQuickly, newestPids } from '../../../src/node-agent/leftovers/end-left.ts';
import { clearLeftovers } from '../../../src/node-agent/leftovers/leftovers.ts';
import { findProcesses } from '../../../src/node-agent/leftovers/marks.ts';
import { findKeeper } from '../../../src/os/processes/keeper.ts';
import { ownerMark } from '../../../src/os/processes/owner-mark.ts';
import { shellQuote } from '../../../src/os/quote.ts';
import { startTestBus, type TestBus, until } from '../../support/bus.ts';
import { guardsOf } from '../../support/guards.ts';
import { endIfThere } from '../../support/signal.ts';
import { specOf } from '../../support/spec.ts';

/** `SRTCTL_TRIALS=300 SRTCTL_SEED=1 npx vitest run test/node-agent/leftovers/orphans.test.ts` runs more trials. */
const TRIALS = Number(process.env.SRTCTL_TRIALS ?? 12);
const SEED = Number(process.env.SRTCTL_SEED ?? 1);
const JOB = `orphans-${process.pid}`;
const NODE = 'node1';
const LEASE_MS = 1_500;
const KEEPER = findKeeper(resolve('dist'));
/** The ways in which a child escapes; each is a program that runs the rest of its arguments. */
const ESCAPES: Readonly<Record<string, string>> = {
  session: 'exec setsid "$@"',
  'no environment': 'exec env -i PATH="$PATH" "$@"',
  'two forks': '("$@" &) & exit',
  title: 'exec perl -e \'$0 = "engine" x 900; system @ARGV\' "$@"',
};
/** A program whose child has replaced it before a search finds it. */
const FORKS = "perl -e 'while () { exit if fork // exit; select undef, undef, undef, 0.005 }'";

/** A worker with a child that escapes in all ways, in the order of `next`. */
function hostile(next: () => number): string[] {
  const order = Object.values(ESCAPES)
    .map((way) => ({ way, at: next() }))
    .sort((a, b) => a.at - b.at)
    .map(({ way }) => `sh -c ${shellQuote(way)} sh`);
  const forks = next() < 0.3 ? `setsid ${FORKS} & ` : '';
  return ['bash', '-c', `${forks}${order.join(' ')} sh -c 'sleep 1000 & sleep 1000' & sleep 1000`];
}
let testBus: TestBus;
let coordinator: Bus;
let greeted = 0;
let incarnation = '';
let lastGeneration = 0;
const s = subjectsOf(JOB);

beforeAll(async () => {
  testBus = await startTestBus(JOB, [NODE]);
  coordinator = await testBus.coordinator();
  coordinator.subscribe(s.hello('*'), helloSchema, ({ message, respond }) => {
    greeted++;
    incarnation = message.incarnation;
    const desired = { v: 1, epoch: 1, generation: lastGeneration, processes: [] };
    respond({ v: 1, welcome: true, leaseMs: LEASE_MS, desired });
  });
  await coordinator.settled();
});
afterAll(() => testBus?.stop());

/** An agent, its keeper if it has one, and the mark of its processes. */
interface Started {
  readonly child: ChildProcess;
  readonly hard: bigint;
  readonly keeper: number | undefined;
  /** Value of SRTCTL_AGENT, which identifies its guard. */
  readonly guardMark: string;
}

const running = ({ hard }: Started) => findProcesses({ entry: 'NONE=', hard });
/** One scan of all processes misses a process that forks repeatedly; many scans of the newest processes find it. */
const forking = ({ hard }: Started): boolean => {
  let seen = false;
  for (let look = 0; look < 200 && !seen; look++)
    endQuickly(newestPids, (_, mark) => {
      seen ||= mark.hard === hard;
      return false;
    });
  return seen;
};
const childrenOf = async (pid: number): Promise<number[]> =>
  (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => ''))
    .split(' ')
    .filter((each) => each !== '')
    .map(Number);

async function startAgent(kept: boolean): Promise<Started> {
  const config = join(testBus.directory, 'agent.json');
  const seed = testBus.keys.agents.get(NODE)?.seed;
  const where = { address: '127.0.0.1', url: testBus.nats.url, logDir: '/tmp' };
  await writeJson(config, { v: 1, jobId: JOB, node: NODE, seed, ...where }, { secret: true });
  const before = greeted;
  const agent = [process.execPath, resolve('dist/node-agent.js'), config];
  const keeper = kept ? KEEPER : undefined;
  const [command = '', ...args] = keeper ? [...keeper.command, `${JOB}/${NODE}`] : agent;
  const child = spawn(command, args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    detached: true,
    env: { ...process.env, ...keeper?.environment(agent) },
  });
  await until('hello', () => greeted > before).catch((error: Error) => {
    child.kill('SIGKILL');
    throw error;
  });
  const pid = child.pid ?? 0;
  const own = keeper ? pid : undefined;
  const guardMark = `SRTCTL_AGENT=${JOB}/${NODE}/${incarnation}`;
  return { child, hard: ownerMark(pid, 'agent') ?? 0n, keeper: own, guardMark };
}

/** The same trial for the same seed, as far as the machine's timing allows. */
function random(seed: number): () => number {
  let state = (seed * 2_654_435_761) >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const signal = (pid: number | undefined, name: NodeJS.Signals): void => {
  try {
    if (pid !== undefined) process.kill(pid, name);
  } catch {
    // The process has already ended.
  }
};

const seeds = Array.from({ length: TRIALS }, (_, index) => SEED + index);
it.each(seeds)(
  'no process is left, whichever component is killed or stopped at whichever moment (seed %i)',
  async (seed) => {
    const next = random(seed);
    const kept = KEEPER !== undefined && next() < 0.75;
    const started = await startAgent(kept);
    const { child, keeper, guardMark } = started;
    const agent = keeper === undefined ? child.pid : (await childrenOf(keeper))[0];
    const generation = ++lastGeneration;
    const processes = ['a', 'b'].map((id) =>
      specOf({ id, node: NODE, argv: hostile(next), graceMs: 300 }, testBus.directory),
    );
    void coordinator
      .request(s.desired(NODE), { v: 1, epoch: 1, generation, processes }, desiredReplySchema, 3_000)
      .catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, next() * 300));
    const some = await running(started);
    const [guard] = guardsOf(guardMark);
    const kinds: readonly (readonly [string, readonly (number | undefined)[]])[] = [
      ['nothing', []],
      ['agent', [agent]],
      ['guard', [guard]],
      ['agent and guard', [agent, guard]],
      ['keeper', [keeper]],
      ['process', [some[Math.floor(next() * some.length)]]],
    ];
    const [kind, victims] = kinds[Math.floor(next() * kinds.length)] ?? ['nothing', []];
    const fault = next() < 0.7 || kind === 'agent and guard' ? 'SIGKILL' : 'SIGSTOP';
    for (const victim of victims) signal(victim, fault);
    const over = () => child.exitCode !== null || child.signalCode !== null;
    try {
      // A stopped agent cannot receive the order to end: when it continues, its lease has expired.
      if (kind === 'agent' && fault === 'SIGSTOP') {
        const stoppedAt = performance.now();
        await until('its lease to be over', () => performance.now() - stoppedAt > LEASE_MS + 100);
        signal(agent, 'SIGCONT');
      } else {
        coordinator.publish(s.allDesired, { v: 1, epoch: 1, generation: ++lastGeneration, end: true });
      }
      if (kind === 'keeper' && fault === 'SIGSTOP') signal(keeper, 'SIGCONT');
      await until(`the agent to end after ${fault} of ${kind}`, over);
      // Without a keeper, only the next agent ends the processes of an agent that was killed with its guard.
      if (kind === 'agent and guard' && !kept) await clearLeftovers({ jobId: JOB, node: NODE });
      await until(
        `nothing left after ${fault} of ${kind}, ${kept ? 'kept' : 'without a keeper'}`,
        async () => (await running(started)).length === 0 && !forking(started),
      );
      await until('no guard left', () => guardsOf(guardMark).length === 0);
    } finally {
      signal(keeper, 'SIGCONT');
      if (!over()) signal(agent, 'SIGKILL');
      for (const pid of await running(started)) endIfThere(pid);
    }
  },
);
