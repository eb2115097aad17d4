import { type ChildProcess, spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writeJson } from '../../src/coordinator/files.ts';
import type { Bus } from '../../src/messages/bus.ts';
import { desiredReplySchema, helloSchema } from '../../src/messages/control.ts';
import { subjectsOf } from '../../src/messages/subjects.ts';
import { findMarked } from '../../src/node-agent/marks.ts';
import { startTestBus, type TestBus, until } from '../support/bus.ts';
import { guardsOf } from '../support/guards.ts';
import { endIfThere } from '../support/signal.ts';
import { specOf } from '../support/spec.ts';

/** `SRTCTL_TRIALS=300 SRTCTL_SEED=1 npx vitest run test/node-agent/orphans.test.ts` for many more. */
const TRIALS = Number(process.env.SRTCTL_TRIALS ?? 12);
const SEED = Number(process.env.SRTCTL_SEED ?? 1);
const JOB = `orphans-${process.pid}`;
const NODE = 'node1';
const LEASE_MS = 1_500;
/** Two workers, of which each has a grandchild that forked twice and took its own session, with a child of its own. */
const ARGV = ['bash', '-c', '(setsid sh -c "sleep 1000 & sleep 1000" &); sleep 1000'];
const s = subjectsOf(JOB);
let testBus: TestBus;
let coordinator: Bus;
let greeted = 0;
let lastGeneration = 0;

beforeAll(async () => {
  testBus = await startTestBus(JOB, [NODE]);
  coordinator = await testBus.coordinator();
  coordinator.subscribe(s.hello('*'), helloSchema, ({ respond }) => {
    greeted++;
    const desired = { v: 1, epoch: 1, generation: lastGeneration, processes: [] };
    respond({ v: 1, welcome: true, leaseMs: LEASE_MS, desired });
  });
  await coordinator.settled();
});
afterAll(() => testBus?.stop());

const MARK = `SRTCTL_JOB=${JOB}`;
const running = async () => (await findMarked([MARK])).get(MARK) ?? [];
const agentMarks = async (): Promise<string> => {
  const [pid] = await running();
  if (pid === undefined) return '';
  const environ = await readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '');
  return environ.split('\0').find((entry) => entry.startsWith('SRTCTL_AGENT=')) ?? '';
};

async function startAgent(): Promise<ChildProcess> {
  const config = join(testBus.directory, 'agent.json');
  const seed = testBus.keys.agents.get(NODE)?.seed;
  const where = { address: '127.0.0.1', url: testBus.nats.url, logDir: '/tmp' };
  await writeJson(config, { v: 1, jobId: JOB, node: NODE, seed, ...where }, { secret: true });
  const before = greeted;
  const agent = spawn(process.execPath, ['dist/node-agent.js', config], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  await until('hello', () => greeted > before).catch((error: Error) => {
    agent.kill('SIGKILL');
    throw error;
  });
  return agent;
}

/** The same for a seed, as far as the machine lets it. */
function random(seed: number): () => number {
  let state = (seed * 2_654_435_761) >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const seeds = Array.from({ length: TRIALS }, (_, index) => SEED + index);
it.each(seeds)(
  'nothing is left, whatever is killed or stopped at whichever moment (seed %i)',
  async (seed) => {
    const next = random(seed);
    const agent = await startAgent();
    const generation = ++lastGeneration;
    const processes = ['a', 'b'].map((id) =>
      specOf({ id, node: NODE, argv: ARGV, graceMs: 300 }, testBus.directory),
    );
    void coordinator
      .request(s.desired(NODE), { v: 1, epoch: 1, generation, processes }, desiredReplySchema, 3_000)
      .catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, next() * 150));
    const mark = await agentMarks();
    const candidates = [[agent.pid ?? 0], guardsOf(mark), await running()].filter((pids) => pids.length > 0);
    const kind = candidates[Math.floor(next() * candidates.length)] ?? [];
    const victim = kind[Math.floor(next() * kind.length)] ?? 0;
    const fault = next() < 0.5 ? 'SIGKILL' : 'SIGSTOP';
    try {
      process.kill(victim, fault);
    } catch {
      // It has ended by itself.
    }
    const over = () => agent.exitCode !== null || agent.signalCode !== null;
    try {
      // An agent that was stopped is not told to end: when it goes on its lease is over.
      if (victim === agent.pid && fault === 'SIGSTOP') {
        const stoppedAt = performance.now();
        await until('its lease to be over', () => performance.now() - stoppedAt > LEASE_MS + 100);
        agent.kill('SIGCONT');
      } else {
        coordinator.publish(s.allDesired, { v: 1, epoch: 1, generation: ++lastGeneration, end: true });
      }
      await until('the agent to end', over);
      await until(`nothing left after ${fault} of ${victim}`, async () => (await running()).length === 0);
      await until('no guard left', () => mark === '' || guardsOf(mark).length === 0);
      expect(over()).toBe(true);
    } finally {
      if (!over()) agent.kill('SIGKILL');
      for (const pid of await running()) endIfThere(pid);
    }
  },
);
