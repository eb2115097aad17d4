import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DEFAULT_SUPERVISION } from '../../src/coordinator/agents/roster.ts';
import { createJobKeys } from '../../src/coordinator/bus-server/keys.ts';
import { Coordinator } from '../../src/coordinator/coordinator.ts';
import type { CoordinatorOptions } from '../../src/coordinator/coordinator-options.ts';
import { EpochLock } from '../../src/coordinator/takeover/epoch-lock.ts';
import type { JobState } from '../../src/messages/job-directory/job-files.ts';
import { createSteadyClock } from '../../src/os/steady-clock.ts';
import { sweepSettingsSchema } from '../../src/recipe/values/sweep-settings.ts';

let dir: string;
let did: string[];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'srtctl-coordinator-'));
  did = [];
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** A coordinator of one node and two points, whose bus is not started. */
function create(over: Partial<CoordinatorOptions> = {}): Coordinator {
  const epochLock = new EpochLock(dir, 1);
  epochLock.claim();
  return new Coordinator({
    spec: {
      ...{ v: 1, jobId: '7', name: 'job', mode: 'local', mock: true, submittedAt: '', tags: [] },
      ...{ jobDir: dir, nodes: ['node1'], setupScript: null, variant: null, cluster: null },
    },
    agents: [{ name: 'node1', node: 'node1', group: { name: '', image: null } }],
    agentExtras: { stopDirs: join(dir, 'stop') } as CoordinatorOptions['agentExtras'],
    points: [0, 1].map((ordinal) => ({ ordinal, name: `p${ordinal}` })),
    sweep: sweepSettingsSchema.parse({}),
    results: [],
    plan: () => expect.unreachable('nothing is planned'),
    onNodes: async () => {},
    notDone: () => [],
    pointDir: (ordinal) => join(dir, 'points', `${ordinal}`),
    platform: {
      ...{ addresses: new Map(), hostNames: 'addresses', containers: false, claim: null, launched: [] },
      launchAgents: (agents) => void did.push(`launch ${agents.map(({ name }) => name)}`),
      adoptAgents: () => [],
      endAgents: () => {},
      stop: async () => void did.push('stop agents'),
      release: async () => void did.push('release'),
    },
    nats: {
      url: 'nats://127.0.0.1:1',
      stop: async () => void did.push('stop nats-server'),
    } as CoordinatorOptions['nats'],
    keys: createJobKeys(['node1']),
    supervision: DEFAULT_SUPERVISION,
    ...{ joinTimeoutMs: 60_000, relaunchAgents: true, spareNodes: 0, endsAt: null, epoch: 1, home: dir },
    ...{ clock: createSteadyClock(), epochLock, found: null, signatures: '' },
    log: pino({ level: 'silent' }),
    ...over,
  });
}

const state = async (): Promise<JobState> => JSON.parse(await readFile(join(dir, 'state.json'), 'utf8'));

describe('a coordinator whose bus is not open', () => {
  it('reports its address before it begins', async () => {
    await create().announce();
    expect(await state()).toMatchObject({
      ...{ jobId: '7', epoch: 1, coordinatorPid: process.pid, sweep: 'booting', exitCode: null },
      points: [{ ordinal: 0, state: 'planned' }, { ordinal: 1 }],
    });
  });

  it('starts no agent when it is stopped before it begins, and ends with the requested exit code', async () => {
    const coordinator = create();
    coordinator.interrupt('interrupted (Ctrl-C)', 130);
    expect(await coordinator.run()).toBe(130);
    expect(did).not.toContain('launch node1');
    expect(did.slice(-2)).toEqual(['stop nats-server', 'release']);
    expect(await state()).toMatchObject({ sweep: 'finished', exitCode: 130, cause: null });
  });

  it('ends its agents by signal when the bus is lost for good, and ends the run with the reason', async () => {
    const coordinator = create();
    const ended = coordinator.run();
    coordinator.busGone('nats-server ended 5 times');
    expect(await ended).toBe(1);
    expect(did).toContain('stop agents');
    expect(await state()).toMatchObject({
      ...{ sweep: 'finished', exitCode: 1 },
      cause: { summary: 'the bus is gone: nats-server ended 5 times' },
    });
    // The keys are removed with the job.
    expect(await readdir(dir)).not.toContain('connection.json');
  });

  it('ends with the exit code of the previous run when it takes over a run that was being stopped', async () => {
    const remaining = { left: [], running: null, exitCode: 143, durations: [] };
    const points: JobState['points'] = [{ ordinal: 0, name: 'p0', state: 'failed', status: 'failed' }];
    const found = { remaining, state: { points, generation: 4, cause: null }, handover: null };
    const coordinator = create({ found: found as unknown as CoordinatorOptions['found'] });
    coordinator.busGone('of no matter');
    expect(await coordinator.run()).toBe(143);
    expect(await state()).toMatchObject({ exitCode: 143, points, generation: 1004 });
  });
});
